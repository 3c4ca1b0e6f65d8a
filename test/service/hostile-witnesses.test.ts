import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkpointText } from '../../src/base/checkpoint.ts'
import { vkeyOf } from '../../src/base/note.ts'
import { sizeOfWitness } from '../../src/ledger/cosigning/queries.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { beginLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { newestCheckpointRow } from '../../src/ledger/log/queries.ts'
import { cosigners, grow, logOf, logVkey, outcomes, withWitnesses } from '../cosigned.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { type Answering, hostileWitness, lineBy, says, witnessKey } from '../hostile-witness.ts'
import { makeSmallLog } from '../small-log.ts'
import { eventually } from '../system.ts'
import { startWitness, temporaryFolder } from '../witnessing.ts'

let now = Date.now()
const clock = { now: () => new Date(now), instant: () => Temporal.Instant.fromEpochMilliseconds(now) }
let engines: TestEngines
let place: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  engines = await testEngines({ clock })
  place = await temporaryFolder()
  await beginLog(engines)
  await grow(engines, 8)
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await place[Symbol.asyncDispose]()
})

const key = witnessKey('witness.example/hostile')
const stranger = witnessKey('witness.example/stranger')
const seconds = () => Math.floor(now / 1000)
const damaged = (line: string): string => line.replace(/.{8}\n$/, 'AAAAAAA=\n')

/** A size is answered to a submission, and `checkpoint` to the question what the witness has. */
const claims =
  (size: string, checkpoint: (text: string) => string | undefined = () => undefined): Answering =>
  ({ method, text }, response) => {
    const served = method === 'POST' ? undefined : checkpoint(text)
    if (method === 'POST') response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(size)
    else response.writeHead(served === undefined ? 404 : 200).end(served)
  }

const answers: Record<string, { answer: Answering; outcome: string }> = {
  'a web page': { answer: says(200, '<html><body>Welcome</body></html>\n'), outcome: 'nonsense' },
  'an empty answer': { answer: says(200, ''), outcome: 'nonsense' },
  'bytes that are no text': { answer: says(200, Buffer.alloc(2000, 0xff)), outcome: 'nonsense' },
  'a line of another key': {
    answer: ({ text }, response) => response.end(lineBy(stranger, text, seconds())),
    outcome: 'nonsense',
  },
  'the name of its key over the signature of another': {
    answer: ({ text }, response) => response.end(lineBy({ ...stranger, key: key.key }, text, seconds())),
    outcome: 'nonsense',
  },
  'a cosignature of another checkpoint': {
    answer: ({ text }, response) => {
      const other = makeSmallLog(text.split('\n')[0] ?? '').headAt(9)
      response.end(lineBy(key, checkpointText(other), seconds()))
    },
    outcome: 'nonsense',
  },
  'a right cosignature and a wrong one under the same key': {
    answer: ({ text }, response) => {
      const line = lineBy(key, text, seconds())
      response.end(`${line}${damaged(line)}`)
    },
    outcome: 'nonsense',
  },
  'more than lines': {
    answer: ({ text }, response) => response.end(`${lineBy(key, text, seconds())}\n${lineBy(key, text, seconds())}`),
    outcome: 'nonsense',
  },
  'a cosignature of the next century': {
    answer: ({ text }, response) => response.end(lineBy(key, text, 4_102_444_800)),
    outcome: 'nonsense',
  },
  'a cosignature before there was a checkpoint': {
    answer: ({ text }, response) => response.end(lineBy(key, text, seconds() - 86_400)),
    outcome: 'nonsense',
  },
  'a cosignature without a time': {
    answer: ({ text }, response) => response.end(lineBy(key, text, 0)),
    outcome: 'nonsense',
  },
  'ten mebibytes': { answer: says(200, Buffer.alloc(10 * 1024 * 1024, '— x\n')), outcome: 'nonsense' },
  'ten mebibytes in ten kibibytes': {
    answer: says(200, gzipSync(Buffer.alloc(10 * 1024 * 1024, 'x')), { 'content-encoding': 'gzip' }),
    outcome: 'nonsense',
  },
  'a right line before ten mebibytes of others': {
    answer: ({ text }, response) => {
      response.write(lineBy(key, text, seconds()))
      response.end('— x AAAAAAAA\n'.repeat(800_000))
    },
    outcome: 'nonsense',
  },
  'the size that it was told': { answer: claims('0\n'), outcome: 'nonsense' },
  'an older size, and never another': { answer: claims('3\n'), outcome: 'nonsense' },
  'a size in words': { answer: claims('three\n'), outcome: 'nonsense' },
  'a size with a leading zero': { answer: claims('03\n'), outcome: 'nonsense' },
  'a negative size': { answer: claims('-3\n'), outcome: 'nonsense' },
  'a size beyond all numbers': { answer: claims('99999999999999999999999\n'), outcome: 'nonsense' },
  'a larger size, and nothing to show for it': { answer: claims('1000000\n'), outcome: 'ahead' },
  'a larger size, and another log': {
    answer: claims('20\n', () => makeSmallLog('log.example/one').noteAt(20)),
    outcome: 'ahead',
  },
  'a larger size, and a checkpoint in our name that it signed itself': {
    answer: claims('20\n', () => impostor().noteAt(20)),
    outcome: 'ahead',
  },
  'a larger size, and our own checkpoint': { answer: claims('20\n', () => ourNote), outcome: 'ahead' },
  'that the log did not only grow': { answer: says(422, 'no\n'), outcome: 'refused' },
  'that it does not know the log': { answer: says(404, 'unknown\n'), outcome: 'refused' },
  'that it broke': { answer: says(500, 'sorry\n'), outcome: 'refused' },
  'that it is elsewhere': {
    answer: says(307, '', { location: 'http://127.0.0.1:9/add-checkpoint' }),
    outcome: 'refused',
  },
  'half an answer': {
    answer: (_asked, response) => {
      response.writeHead(200, { 'content-length': '500' })
      response.write('— witness', () => response.destroy())
    },
    outcome: 'unreachable',
  },
  'no HTTP at all': {
    answer: (_asked, { socket }) => void socket?.end('hello\r\n'),
    outcome: 'unreachable',
  },
}

let ourNote = ''
let origin = ''
const impostor = () => makeSmallLog(origin)

describe('a witness that answers', () => {
  beforeAll(async () => {
    ourNote = (await newestCheckpointRow(engines.db, 1))?.note ?? ''
    origin = logKeyOf(await logOf(engines.db)).name
  })

  test.for(Object.entries(answers))('%s changes nothing and is not believed', async ([, { answer, outcome }]) => {
    const size = (await newestCheckpointRow(engines.db, 1))?.size ?? 0
    engines.metrics.cosignatures.reset()
    await using witness = await hostileWitness(answer, key)
    const own = withWitnesses(engines, witness.entry)
    expect(await cosignNewest(own)).toBe(0)
    expect(await outcomes(own, key.key.name)).toEqual({ [outcome]: 1 })
    expect(await cosigners(own, size)).toEqual([])
    expect((await logOf(own.db)).halted).toBeNull()
    expect(witness.submissions().length).toBeLessThanOrEqual(2)
    expect(await engines.store.list('ledger', '1/witnessed/')).toEqual([])
  })

  test('as it should is believed, after all that', async () => {
    const size = await grow(engines, 1)
    await using witness = await hostileWitness(
      ({ text }, response) => response.end(`${lineBy(stranger, text, seconds())}${lineBy(key, text, seconds())}`),
      key,
    )
    const own = withWitnesses(engines, witness.entry)
    await cosignNewest(own)
    // One of the above had made believe that it was at 3.
    expect(witness.submissions().map(({ body }) => body.split('\n')[0])).toEqual(['old 3'])
    expect(await cosigners(own, size)).toEqual([key.key.name])
    expect(await sizeOfWitness(own.db, key.vkey, 1)).toBe(size)
  })
})

test('a witness that never answers is given up after ten seconds, and those beside it have signed long before', async () => {
  const data = join(place.path, 'beside')
  await using good = await startWitness({
    data,
    name: 'witness.example/good',
    logs: [await logVkey(engines.db)],
    clock,
  })
  await using silent = await hostileWitness(() => undefined, witnessKey('witness.example/silent'))
  await using halting = await hostileWitness(
    (_asked, response) => void response.writeHead(200).write('—'),
    witnessKey('witness.example/halting'),
  )
  const own = withWitnesses(engines, silent.entry, halting.entry, `${vkeyOf(good.key)} ${good.url}`)
  const size = await grow(engines, 3)
  const began = performance.now()
  let over = false
  const cosigning = cosignNewest(own).finally(() => {
    over = true
  })
  await eventually('the good one', async () => ((await cosigners(own, size)).length > 0 ? true : undefined))
  expect(over).toBe(false)
  expect(await cosigning).toBe(1)
  expect(performance.now() - began).toBeLessThan(20_000)
  for (const name of ['silent', 'halting'])
    expect(await outcomes(own, `witness.example/${name}`)).toEqual({ 'timed-out': 1 })
})

test('a worker that stops does not wait for a witness', async () => {
  const name = 'witness.example/still'
  await using silent = await hostileWitness(() => undefined, witnessKey(name))
  const own = withWitnesses(engines, silent.entry)
  await grow(engines, 1)
  const end = new AbortController()
  const cosigning = cosignNewest(own, end.signal)
  await eventually('the question', async () => (silent.asked.length > 0 ? true : undefined))
  const began = performance.now()
  end.abort()
  expect(await cosigning).toBe(0)
  expect(performance.now() - began).toBeLessThan(5000)
  expect(await outcomes(own, name)).toEqual({})
})

test('a witness that fails is asked less and less often, and said so once; when it signs again, that is said too', async () => {
  const name = 'witness.example/frail'
  const frail = witnessKey(name)
  let well = false
  await using witness = await hostileWitness(({ text }, response) => {
    if (well) response.end(lineBy(frail, text, seconds()))
    else response.writeHead(503).end()
  }, frail)
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const own = { ...withWitnesses(engines, witness.entry), log }
  await grow(engines, 1)

  const askedAt: number[] = []
  const began = now
  for (; now < began + 3_600_000; now += 10_000) {
    const before = witness.asked.length
    await cosignNewest(own)
    if (witness.asked.length > before) askedAt.push((now - began) / 1000)
  }
  expect(askedAt.slice(0, 8)).toEqual([0, 10, 30, 70, 150, 310, 630, 1230])
  expect(lines).toMatchObject([{ level: 40, witness: name, outcome: 'refused' }])
  expect(lines[0]?.msg).toBe('a witness does not cosign the log: it answers with the status 503')

  well = true
  now += 600_000
  await grow(engines, 1)
  expect(await cosignNewest(own)).toBe(1)
  expect(lines.slice(1)).toMatchObject([{ level: 30, witness: name, msg: 'a witness cosigns the log' }])
  await grow(engines, 1)
  expect(await cosignNewest(own)).toBe(1)
  expect(lines).toHaveLength(2)
})
