import { connect, createServer } from 'node:net'

export type FrailLink = { url: string; close(): void }

/** A loopback link to `target` that breaks once, for good reason or none, after so many bytes of upload, and then holds. */
export const openFrailLink = async (target: URL, breakAfter: number, broke: () => void): Promise<FrailLink> => {
  let left = breakAfter
  let whole = true
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    const end = () => {
      near.destroy()
      far.destroy()
    }
    near.on('data', (chunk) => {
      left -= chunk.length
      if (!whole || left > 0) return
      whole = false
      end()
      broke()
    })
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the link got no port')
  return { url: `http://127.0.0.1:${address.port}`, close: () => server.close() }
}
