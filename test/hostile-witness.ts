import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { cosign, parseCheckpointText } from '../src/base/checkpoint.ts'
import { parseNote } from '../src/base/note.ts'
import { makeNoteKey } from './small-log.ts'

/** What came in: of a submission the text of its checkpoint. */
type Asked = { method: string; path: string; body: string; text: string }
export type Answering = (asked: Asked, response: ServerResponse) => void

export const witnessKey = (name: string) => makeNoteKey(name, 4)
export type WitnessKey = ReturnType<typeof witnessKey>

const readBody = async (request: AsyncIterable<Buffer>): Promise<string> => {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}

/** Something on loopback that is configured as a witness, and answers whatever a test wants. */
export const hostileWitness = async (answer: Answering, key: WitnessKey = witnessKey('witness.example/hostile')) => {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const text = parseNote(body.slice(body.indexOf('\n\n') + 2))?.text ?? ''
      const one = { method: request.method ?? '', path: request.url ?? '', body, text }
      asked.push(one)
      answer(one, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  const url = `http://127.0.0.1:${address.port}`
  return {
    url,
    key,
    /** In LEDGER_WITNESSES. */
    entry: `${key.vkey} ${url}`,
    asked,
    submissions: () => asked.filter(({ method }) => method === 'POST'),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

export const says =
  (status: number, text: string | Buffer, headers: Record<string, string> = {}): Answering =>
  (_asked, response) =>
    void response.writeHead(status, headers).end(text)

/** The line that this key signs under a checkpoint. */
export const lineBy = (
  { key, privateKey }: WitnessKey,
  text: string,
  seconds = Math.floor(Date.now() / 1000),
): string => cosign(text, seconds, key, privateKey)

export const sizeIn = (text: string): number => parseCheckpointText(text)?.size ?? -1
