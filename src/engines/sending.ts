import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { chunksOf } from './chunks.ts'
import { brokenRead } from './store-refusals.ts'

/** Writes a chunk and waits until the kernel has it; false when the connection was closed before. */
const writerTo = (raw: ServerResponse): ((chunk: Buffer) => Promise<boolean>) => {
  let closed: (() => void) | undefined
  raw.once('close', () => closed?.())
  return async (chunk) =>
    await new Promise<boolean>((resolve) => {
      closed = () => resolve(false)
      if (raw.destroyed) return resolve(false)
      raw.write(chunk, (error) => resolve(error === undefined || error === null))
    })
}

/**
 * Answers with the code and the headers that the reply has by now, and with the bytes of the stream, whose chunks nobody else
 * may keep: each is given back as soon as it is on its way. Piped, they would be left to the garbage collector, which costs
 * more than to send them. A stream that breaks breaks the answer; one that breaks before its first byte throws, while there
 * is still an answer to give.
 */
export const sendBytes = async (reply: FastifyReply, body: Readable): Promise<FastifyReply> => {
  const { raw } = reply
  const chunks = chunksOf(body, { owned: true })
  try {
    await chunks.ready()
  } catch (error) {
    chunks.close()
    body.destroy()
    throw brokenRead(error)
  }
  const write = writerTo(raw)
  reply.hijack()
  try {
    raw.statusCode = reply.statusCode
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
    for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) {
      if (await write(chunk)) continue
      // Memory that a closed connection may still hold is not given back.
      raw.destroy()
      return reply
    }
    raw.end()
  } catch (error) {
    if (!raw.destroyed) reply.log.warn({ err: error }, 'an answer broke off')
    raw.destroy()
  } finally {
    chunks.close()
    body.destroy()
  }
  return reply
}
