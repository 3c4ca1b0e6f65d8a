import { createServer } from 'node:http'

/** A listener on loopback that counts who comes. */
export const listening = async () => {
  let visits = 0
  const server = createServer((_request, response) => {
    visits += 1
    response.end('you should not be here')
  })
  server.on('connection', () => {
    visits += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    port: address.port,
    visits: () => visits,
    [Symbol.asyncDispose]: async () => await new Promise<void>((resolve) => server.close(() => resolve())),
  }
}
