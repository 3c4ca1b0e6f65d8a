import { connect, createServer, type Socket } from 'node:net'

export type StoreProxy = AsyncDisposable & {
  /** Put it in front of the store: S3_ENDPOINT. */
  endpoint: string
  /** Connections to the store that have ended so far. */
  ended(): number
  /** Cuts every connection, at once for those that gave more than `bytes`; null: no longer. */
  cutAfter(bytes: number | null): void
  /** Accepts nobody any more, and cuts who is there. */
  stop(): void
}

/** A loopback relay in front of the real store, which can fail on purpose. */
export const storeProxy = async (endpoint: string): Promise<StoreProxy> => {
  const { hostname, port } = new URL(endpoint)
  const open = new Set<Socket>()
  let ended = 0
  let limit: number | null = null
  let stopped = false
  const server = createServer((client) => {
    if (stopped) {
      client.destroy()
      return
    }
    const store = connect(Number(port), hostname)
    open.add(client)
    let given = 0
    store.on('data', (chunk: Buffer) => {
      const left = limit === null ? chunk.length : Math.max(0, limit - given)
      given += chunk.length
      if (!client.write(chunk.subarray(0, left))) {
        store.pause()
        client.once('drain', () => store.resume())
      }
      if (left < chunk.length) client.destroySoon()
    })
    client.on('data', (chunk: Buffer) => store.write(chunk))
    const end = () => {
      if (open.delete(client)) ended += 1
      client.destroy()
      store.destroy()
    }
    store.on('end', () => client.end())
    for (const socket of [client, store]) socket.on('error', end).on('close', end)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    ended: () => ended,
    cutAfter: (bytes) => {
      limit = bytes
    },
    stop: () => {
      stopped = true
      for (const socket of open) socket.destroy()
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
