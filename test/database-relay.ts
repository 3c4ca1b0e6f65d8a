import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type DatabaseRelay = AsyncDisposable & {
  /** The same database behind the relay. */
  url: string
  /**
   * Passes the next commit on and keeps its answer back: what was committed is, and nobody hears of it. Resolves when the
   * answer came; `cut` then breaks that connection and no other.
   */
  swallowNextCommit(): Promise<{ cut(): void }>
}

/** A loopback relay in front of Postgres. */
export const databaseRelay = async (url: string): Promise<DatabaseRelay> => {
  const { hostname, port } = new URL(url)
  const open = new Set<Socket>()
  let swallow: ((caught: { cut(): void }) => void) | undefined
  const server = createServer((client) => {
    const database = connect(Number(port), hostname)
    for (const socket of [client, database]) {
      open.add(socket)
      socket.on('error', () => socket.destroy())
    }
    database.pipe(client)
    client.on('data', (chunk: Buffer) => {
      if (swallow !== undefined && /\bcommit\b/i.test(chunk.toString('latin1'))) {
        const tell = swallow
        swallow = undefined
        database.unpipe(client)
        database.once('data', () => tell({ cut: () => client.destroy() })).resume()
      }
      database.write(chunk)
    })
    client.on('close', () => database.destroy())
    database.on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: Object.assign(new URL(url), { port: String(address.port) }).href,
    swallowNextCommit: async () =>
      await new Promise((resolve) => {
        swallow = resolve
      }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
