import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import { sendBytes } from '../../src/engines/sending.ts'
import { type TestEngines, testEngines } from '../engines.ts'

const mib = 1024 * 1024
const large = [randomBytes(12 * mib + 1), randomBytes(12 * mib + 2)]
const keyOf = (index: number) => `moving-bytes/${index}`

let engines: TestEngines
beforeAll(async () => {
  engines = await testEngines()
  for (const [index, bytes] of large.entries()) await engines.store.put('derived', keyOf(index), bytes, sha256(bytes))
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const stored = async (index: number): Promise<Readable> => {
  const stream = await engines.store.read('derived', keyOf(index))
  if (stream === null) throw new Error('it was stored just now')
  return stream
}

test('what is read from the store stays as it was read, however long it is kept and whatever is read meanwhile', async () => {
  const kept = await Promise.all(large.map(async (_, index) => await buffer(await stored(index))))
  expect(kept.map((bytes, index) => bytes.equals(large[index] ?? Buffer.alloc(0)))).toEqual([true, true])
})

describe('an answer that is a stream of bytes', () => {
  let app: FastifyInstance
  let url: string
  let sent: Readable
  const answers: Record<string, () => Promise<Readable>> = {
    '/stored/0': async () => await stored(0),
    '/stored/1': async () => await stored(1),
    '/breaks': async () =>
      Readable.from(
        (async function* () {
          yield Buffer.alloc(mib, 'x')
          throw new Error('the store is gone')
        })(),
        { objectMode: false },
      ),
    '/nothing': async () =>
      new Readable({
        read() {
          void this.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
        },
      }),
    '/slow': async () =>
      Readable.from(
        (async function* () {
          for (;;) {
            yield Buffer.alloc(mib, 'x')
            await delay(5)
          }
        })(),
        { objectMode: false },
      ),
  }
  beforeAll(async () => {
    app = Fastify()
    for (const [path, open] of Object.entries(answers)) {
      app.get(path, async (_request, reply) => {
        sent = await open()
        return await sendBytes(
          reply.code(206).headers({ 'content-length': large[path.endsWith('1') ? 1 : 0]?.length, 'x-of': path }),
          sent,
        )
      })
    }
    url = await app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(async () => await app.close())

  const ask = async (path: string): Promise<IncomingMessage> =>
    await new Promise((resolve, reject) => get(`${url}${path}`, resolve).on('error', reject))

  test('carries its code, its headers and every byte of its own, to readers fast and slow, whoever else comes and goes', async () => {
    const of = Array.from({ length: 12 }, (_, index) => index % 2)
    const answered = await Promise.all(of.map(async (which) => await ask(`/stored/${which}`)))
    expect(answered.map(({ statusCode, headers }) => [statusCode, headers['x-of']])).toEqual(
      of.map((which) => [206, `/stored/${which}`]),
    )
    // Those that go in the midst of it leave memory behind that others may be given.
    const leaving = await Promise.all(of.map(async (which) => await ask(`/stored/${which}`)))
    for (const answer of leaving) answer.once('data', () => answer.destroy())
    const slowly = async (answer: IncomingMessage): Promise<Buffer> => {
      const come: Buffer[] = []
      for await (const chunk of answer) {
        come.push(chunk)
        if (come.length % 8 === 0) await delay(1)
      }
      return Buffer.concat(come)
    }
    const read = await Promise.all(
      answered.map(async (answer, index) => (index % 4 < 2 ? await buffer(answer) : await slowly(answer))),
    )
    expect(read.map((bytes, index) => bytes.equals(large[of[index] ?? 0] ?? Buffer.alloc(0)))).toEqual(
      read.map(() => true),
    )
  })

  test('says so where the store breaks off before the first byte', async () => {
    const answer = await ask('/nothing')
    expect([answer.statusCode, (await buffer(answer)).toString()]).toEqual([500, expect.stringContaining('"message"')])
    expect(sent.destroyed).toBe(true)
  })

  test('breaks when its bytes break off, and is never taken for whole', async () => {
    const answer = await ask('/breaks')
    await expect(buffer(answer)).rejects.toThrow('aborted')
    expect((await buffer(await ask('/stored/0'))).length).toBe(large[0]?.length)
  })

  test('lets go of its bytes when the reader goes', async () => {
    const answer = await ask('/slow')
    await once(answer, 'data')
    answer.destroy()
    if (!sent.destroyed) await once(sent, 'close')
    expect(sent.destroyed).toBe(true)
  })
})
