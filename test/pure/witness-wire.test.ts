import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { growth, makeSmallLog, type SmallLog, submissionOf } from '../small-log.ts'
import { startWitness, temporaryFolder } from '../witnessing.ts'

// Each waits for disks.
vi.setConfig({ testTimeout: 30_000 })

let place: Awaited<ReturnType<typeof temporaryFolder>>
let count = 0

beforeAll(async () => {
  place = await temporaryFolder()
})
afterAll(async () => await place[Symbol.asyncDispose]())

const folder = () => join(place.path, `w${++count}`)

/** A witness of one log, of which it has cosigned nothing yet. */
const witnessed = async (log: SmallLog, more: Partial<Parameters<typeof startWitness>[0]> = {}) =>
  await startWitness({ data: folder(), logs: [log.signer.vkey], ...more })

test('any content type will do, and none', async () => {
  const log = makeSmallLog('log.example/one')
  await using witness = await witnessed(log)
  for (const [size, type] of ['text/plain', 'application/json', 'application/octet-stream', '', 'x', ';'].entries()) {
    const body = Buffer.from(await growth(log, size, size + 1))
    const answer = await fetch(`${witness.url}/add-checkpoint`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    })
    expect({ type, status: answer.status }).toEqual({ type, status: 200 })
  }
})

test('a body larger than any submission is refused, announced or not', async () => {
  const log = makeSmallLog('log.example/one')
  await using witness = await witnessed(log)
  const large = `${await growth(log, 0, 5)}${'x'.repeat(80_000)}`
  expect(await witness.add(large)).toMatchObject({ status: 413 })
  const status = await new Promise<number | string>((resolve) => {
    const sending = request(`${witness.url}/add-checkpoint`, { method: 'POST' }, ({ statusCode }) =>
      resolve(statusCode ?? 0),
    )
    sending.on('error', ({ message }) => resolve(message))
    for (let piece = 0; piece < 20; piece++) sending.write('x'.repeat(8192))
    sending.end()
  })
  expect(status).toBe(413)
  expect(await witness.add(await growth(log, 0, 5))).toMatchObject({ status: 200 })
})

test('a request that trickles in is ended, and holds nobody up', async () => {
  const log = makeSmallLog('log.example/one')
  await using witness = await witnessed(log, { requestMs: 700 })
  const began = performance.now()
  const socket = connect(Number(new URL(witness.url).port), '127.0.0.1')
  socket.write('POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 600\r\n\r\n')
  const trickle = setInterval(() => socket.write('o'), 50)
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString()
  })
  const ended = new Promise<void>((resolve) => socket.on('close', resolve).on('error', () => undefined))
  expect(await witness.add(await growth(log, 0, 5))).toMatchObject({ status: 200 })
  await ended
  clearInterval(trickle)
  expect(answer).toMatch(/^HTTP\/1.1 408 /)
  expect(performance.now() - began).toBeLessThan(10_000)
})

test('log lines name logs and sizes, and nothing that was sent', async () => {
  const log = makeSmallLog('log.example/one')
  await using witness = await witnessed(log)
  const answer = await witness.add(await growth(log, 0, 5))
  await witness.add(submissionOf(0, [], makeSmallLog('log.example/a-stranger').noteAt(3)))
  await witness.add('old 0\n\na secret\n')
  const said = JSON.stringify(witness.lines)
  expect(said).toContain('"log":"log.example/one","size":5')
  for (const secret of [answer.text.trim(), log.headAt(5).root.toString('base64'), 'stranger', 'secret'])
    expect(said).not.toContain(secret)
})
