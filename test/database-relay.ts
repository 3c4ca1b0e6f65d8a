import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type DatabaseRelay = AsyncDisposable & {
  /** The same database behind the relay. */
  url: string
  /**
   * From the next commit on, the server's answers are kept back for ever: what was committed is, and nobody hears of it.
   * Resolves when that commit has been passed on.
   */
  swallowNextCommit(): Promise<void>
}

/** A loopback relay in front of Postgres. */
export const databaseRelay = async (url: string): Promise<DatabaseRelay> => {
  const { hostname, port } = new URL(url)
  const open = new Set<Socket>()
  let swallow: (() => void) | undefined
  const server = createServer((client) => {
    const database = connect(Number(port), hostname)
    for (const socket of [client, database]) {
      open.add(socket)
      socket.on('error', () => socket.destroy())
    }
    database.pipe(client)
    client.on('data', (chunk: Buffer) => {
      if (swallow !== undefined && /\bcommit\b/i.test(chunk.toString('latin1'))) {
        database.unpipe(client)
        database.resume()
        swallow()
        swallow = undefined
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
