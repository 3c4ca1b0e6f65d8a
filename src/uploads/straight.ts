import { Readable } from 'node:stream'

/**
 * A part that goes into the store while it still comes in, under a digest that is known beforehand: the dock's own. Its last
 * bytes are held back until `finish`, so that the store never has the whole of a part that may not be kept.
 */
export type Straight = {
  /** So many bytes from the beginning have come. */
  came(filled: number): void
  /** Lets the last bytes go. Answers the ETag, or null when the store did not take the part this way. */
  finish(): Promise<string | null>
  /** Ends it without its last bytes: the store keeps nothing of it. */
  drop(): void
}

/** Handed on at once: small pieces cost everybody on the way a wake-up each. */
const piece = 1024 * 1024

/** `bytes` fills up while it is read, and must stay as it is until `send` is over. */
export const sendStraight = (bytes: Buffer, send: (body: Readable) => Promise<string>): Straight => {
  const body = new Readable({ read: () => undefined })
  // Nobody else may be listening when it is dropped: the call to the store may be over, or not have begun.
  body.on('error', () => undefined)
  const sent = send(body).then(
    (etag) => etag,
    () => null,
  )
  let passed = 0
  const pass = (until: number): void => {
    if (!body.destroyed) body.push(bytes.subarray(passed, until))
    passed = until
  }
  return {
    came: (filled) => {
      if (filled < bytes.length && filled - passed >= piece) pass(filled)
    },
    finish: async () => {
      pass(bytes.length)
      if (!body.destroyed) body.push(null)
      const etag = await sent
      body.destroy()
      return etag
    },
    drop: () => {
      body.destroy(new Error('the part goes another way'))
    },
  }
}
