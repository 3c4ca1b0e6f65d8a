import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { checkpointText, cosign, cosignedAt, openCheckpoint } from '../../src/base/checkpoint.ts'
import { emptyRoot } from '../../src/base/merkle.ts'
import { parseNote, signatureLine } from '../../src/base/note.ts'
import { growth, makeNoteKey, makeSmallLog, type SmallLog, submissionOf } from '../small-log.ts'
import { ask, hashOf, startWitness, temporaryFolder } from '../witnessing.ts'

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

const altered = (note: string): string => {
  const [line = '', ...rest] = note.trimEnd().split('\n').toReversed()
  const at = line.length - 20
  const other = line[at] === 'A' ? 'B' : 'A'
  return `${[...rest.toReversed(), `${line.slice(0, at)}${other}${line.slice(at + 1)}`].join('\n')}\n`
}

describe('what it cosigns', () => {
  test('the first checkpoint it sees, and it serves it with the signature of the log and its own', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    expect(await witness.newest(log.origin)).toMatchObject({ status: 404 })

    const before = Math.floor(Date.now() / 1000)
    const answer = await witness.add(await growth(log, 0, 5))
    expect(answer).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' })
    const note = parseNote(`${checkpointText(log.headAt(5))}\n${answer.text}`)
    const [line, ...more] = note?.signatures ?? []
    if (note === null || line === undefined) throw new Error('there is no line')
    expect(more).toEqual([])
    const time = cosignedAt(note.text, line, witness.key) ?? 0
    expect(time).toBeGreaterThanOrEqual(before)
    expect(time).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000))

    const newest = await witness.newest(log.origin)
    expect(newest).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' })
    expect(newest.text).toBe(`${log.noteAt(5)}${answer.text}`)
    expect(openCheckpoint(newest.text, log.signer.key)).toEqual(log.headAt(5))
  })

  test('a checkpoint that grew out of the one before, and the same one again', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    for (const [old, size] of [
      [0, 1],
      [1, 3],
      [3, 3],
      [3, 8],
      [8, 9],
      [9, 64],
    ] as const) {
      expect(await witness.add(await growth(log, old, size))).toMatchObject({ status: 200 })
      const { text } = await witness.newest(log.origin)
      expect(openCheckpoint(text, log.signer.key)?.size).toBe(size)
    }
  })

  test('an empty tree, with the one root that it can have', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const wrong = log.signed({ ...log.headAt(0), root: Buffer.alloc(32) })
    expect(await witness.add(submissionOf(0, [], wrong))).toMatchObject({ status: 422 })
    expect(await witness.newest(log.origin)).toMatchObject({ status: 404 })
    expect(log.headAt(0).root).toEqual(emptyRoot)
    expect(await witness.add(await growth(log, 0, 0))).toMatchObject({ status: 200 })
    expect(await witness.add(submissionOf(0, [], wrong))).toMatchObject({ status: 422 })
    expect(await witness.add(await growth(log, 0, 2))).toMatchObject({ status: 200 })
  })

  test('any growth of an honest log, and no growth of a fork', async () => {
    const sizes = fc.uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 2, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(sizes, async (drawn) => {
        const [first = 1, ...later] = drawn.toSorted((one, other) => one - other)
        const signer = makeNoteKey('log.example/one')
        const log = makeSmallLog('log.example/one', 'leaf', signer)
        const fork = makeSmallLog('log.example/one', 'another leaf', signer)
        await using witness = await witnessed(log)
        expect(await witness.add(await growth(log, 0, first))).toMatchObject({ status: 200 })
        let old = first
        for (const size of later) {
          expect(await witness.add(await growth(fork, old, size))).toMatchObject({ status: 422 })
          expect(await witness.add(await growth(log, old, size))).toMatchObject({ status: 200 })
          old = size
        }
      }),
      { numRuns: 15 },
    )
  })

  test('each of its logs apart, whatever the others do', async () => {
    const logs = ['log.example/one', 'log.example/two'].map((origin) => makeSmallLog(origin))
    const [one, two] = logs
    if (one === undefined || two === undefined) throw new Error('there are two')
    await using witness = await startWitness({ data: folder(), logs: logs.map(({ signer }) => signer.vkey) })
    expect(await witness.add(await growth(one, 0, 9))).toMatchObject({ status: 200 })
    expect(await witness.add(await growth(two, 0, 3))).toMatchObject({ status: 200 })
    expect(openCheckpoint((await witness.newest(one.origin)).text, one.signer.key)?.size).toBe(9)
    expect(openCheckpoint((await witness.newest(two.origin)).text, two.signer.key)?.size).toBe(3)
  })
})

describe('signatures', () => {
  test('a log that it does not watch is answered 404, whoever signed', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const stranger = makeSmallLog('log.example/other')
    expect(await witness.add(await growth(stranger, 0, 4))).toMatchObject({ status: 404 })
    expect(await witness.newest(stranger.origin)).toMatchObject({ status: 404 })
    // With the key of a log it does watch.
    const borrowed = log.signed(stranger.headAt(4))
    expect(await witness.add(submissionOf(0, [], borrowed))).toMatchObject({ status: 404 })
  })

  test('a checkpoint that no key of the log signed, or that one signed wrongly, is answered 403', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const another = makeSmallLog('log.example/one')
    const note = log.noteAt(4)
    const [ownLine = ''] = note.split('\n').slice(-2)
    const strangersLine = another.noteAt(4).split('\n').at(-2) ?? ''
    const wrongLine = altered(note).split('\n').at(-2) ?? ''
    const text = checkpointText(log.headAt(4))
    const withLines = (...lines: string[]) => submissionOf(0, [], `${text}\n${lines.join('\n')}\n`)

    expect(await witness.add(withLines(strangersLine))).toMatchObject({ status: 403 })
    expect(await witness.add(withLines(wrongLine))).toMatchObject({ status: 403 })
    // A note with a wrong signature under a known key is malformed, though there is a right one too.
    expect(await witness.add(withLines(ownLine, wrongLine))).toMatchObject({ status: 403 })
    expect(await witness.add(withLines(wrongLine, ownLine))).toMatchObject({ status: 403 })
    expect(await witness.newest(log.origin)).toMatchObject({ status: 404 })
    expect(await witness.add(withLines(strangersLine, ownLine))).toMatchObject({ status: 200 })
  })

  test('signatures of keys it does not know are passed over, and not served', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const others = Array.from({ length: 15 }, (_, index) => {
      const { key, privateKey } = makeNoteKey(`witness.example/other${index}`, 4)
      return cosign(checkpointText(log.headAt(4)), 1_700_000_000, key, privateKey)
    })
    const { key } = makeNoteKey('witness.example/long', 1)
    const long = signatureLine(key, Buffer.alloc(2428, 7))
    const submitted = `${log.noteAt(4)}${others.join('')}${long}`
    const answer = await witness.add(submissionOf(0, [], submitted))
    expect(answer).toMatchObject({ status: 200 })
    expect((await witness.newest(log.origin)).text).toBe(`${log.noteAt(4)}${answer.text}`)
  })

  test('of several keys of one log each will do, and what both signed is served with both', async () => {
    const log = makeSmallLog('log.example/one')
    const next = makeNoteKey('log.example/one')
    await using witness = await startWitness({ data: folder(), logs: [log.signer.vkey, next.vkey] })
    expect(await witness.add(await growth(log, 0, 2))).toMatchObject({ status: 200 })
    const byNext = log.signed(log.headAt(4), next)
    expect(await witness.add(submissionOf(2, await log.pathFrom(2, 4), byNext))).toMatchObject({ status: 200 })
    const byBoth = `${log.noteAt(7)}${log.signed(log.headAt(7), next).split('\n').at(-2)}\n`
    expect(await witness.add(submissionOf(4, await log.pathFrom(4, 7), byBoth))).toMatchObject({ status: 200 })
    const served = (await witness.newest(log.origin)).text
    for (const key of [log.signer.key, next.key]) expect(openCheckpoint(served, key)).toEqual(log.headAt(7))
    const oneWrong = `${log.noteAt(8)}${altered(log.signed(log.headAt(8), next))
      .split('\n')
      .at(-2)}\n`
    expect(await witness.add(submissionOf(7, await log.pathFrom(7, 8), oneWrong))).toMatchObject({ status: 403 })
  })

  test('a log may sign with a cosignature, as newer logs do', async () => {
    const signer = makeNoteKey('log.example/one', 4)
    const log = makeSmallLog('log.example/one')
    await using witness = await startWitness({ data: folder(), logs: [signer.vkey] })
    const text = checkpointText(log.headAt(3))
    const line = cosign(text, 1_700_000_000, signer.key, signer.privateKey)
    expect(await witness.add(submissionOf(0, [], `${text}\n${line}`))).toMatchObject({ status: 200 })
    const wrong = altered(`${text}\n${line}`)
    expect(await witness.add(submissionOf(3, [], wrong))).toMatchObject({ status: 403 })
  })
})

describe('refusals', () => {
  test('an old size that is not the one cosigned last is answered 409 with that one, and nothing changes', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const conflict = { status: 409, type: 'text/x.tlog.size' }
    expect(await witness.add(await growth(log, 3, 5))).toEqual({ ...conflict, text: '0\n' })
    await witness.add(await growth(log, 0, 5))
    const before = await witness.newest(log.origin)
    for (const [old, size] of [
      [0, 9],
      [0, 5],
      [4, 9],
      [6, 9],
      [4, 4],
    ] as const)
      expect(await witness.add(await growth(log, old, size))).toEqual({ ...conflict, text: '5\n' })
    expect(await witness.newest(log.origin)).toEqual(before)
  })

  test('an old size larger than the checkpoint is answered 400', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    await witness.add(await growth(log, 0, 5))
    expect(await witness.add(submissionOf(5, [], log.noteAt(4)))).toMatchObject({ status: 400 })
    expect(await witness.add(submissionOf(6, [], log.noteAt(5)))).toMatchObject({ status: 400 })
    // What it is told of first: who signs, before what the numbers are.
    expect(await witness.add(submissionOf(6, [], altered(log.noteAt(5))))).toMatchObject({ status: 403 })
  })

  test('a proof that does not prove it is answered 422', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const [extra = Buffer.alloc(32)] = log.hashes
    expect(await witness.add(submissionOf(0, [extra], log.noteAt(5)))).toMatchObject({ status: 422 })
    await witness.add(await growth(log, 0, 5))
    const path = await log.pathFrom(5, 12)
    const wrong = [
      [],
      path.slice(1),
      path.slice(0, -1),
      path.toReversed(),
      [...path, extra],
      [extra, ...path],
      path.with(0, extra),
      Array.from({ length: 63 }, () => extra),
    ]
    for (const each of wrong)
      expect(await witness.add(submissionOf(5, each, log.noteAt(12)))).toMatchObject({ status: 422 })
    expect(await witness.add(submissionOf(5, [extra], log.noteAt(5)))).toMatchObject({ status: 422 })
    expect(openCheckpoint((await witness.newest(log.origin)).text, log.signer.key)?.size).toBe(5)
    expect(await witness.add(submissionOf(5, path, log.noteAt(12)))).toMatchObject({ status: 200 })
  })

  test('another tree of a size it has cosigned is answered 422 and kept, since the log has signed both', async () => {
    const signer = makeNoteKey('log.example/one')
    const log = makeSmallLog('log.example/one', 'leaf', signer)
    const fork = makeSmallLog('log.example/one', 'another leaf', signer)
    const data = folder()
    await using witness = await witnessed(log, { data })
    await witness.add(await growth(log, 0, 5))
    for (let again = 0; again < 2; again++)
      expect(await witness.add(submissionOf(5, [], fork.noteAt(5)))).toMatchObject({ status: 422 })
    const kept = await readdir(join(data, 'witness/forks'))
    expect(kept).toEqual([`${hashOf(log.origin)}-5-${fork.headAt(5).root.toString('hex', 0, 8)}`])
    const proof = await readFile(join(data, 'witness/forks', kept[0] ?? ''), 'utf8')
    expect(openCheckpoint(proof, signer.key)).toEqual(fork.headAt(5))
    expect(witness.lines.filter(({ level }) => level === 50)).toHaveLength(2)
    expect(openCheckpoint((await witness.newest(log.origin)).text, signer.key)).toEqual(log.headAt(5))
  })

  test('a body that is not well formed to the letter is answered 400', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    const good = await growth(log, 0, 5)
    await witness.add(good)
    const grown = await growth(log, 5, 12)
    const hash = log.hashes[0]?.toString('base64') ?? ''
    const bodies: Record<string, string | Uint8Array<ArrayBuffer>> = {
      empty: '',
      'a newline': '\n',
      'only a checkpoint': log.noteAt(12),
      'CRLF everywhere': grown.replaceAll('\n', '\r\n'),
      'CRLF in the first line': grown.replace('\n', '\r\n'),
      'a carriage return after a hash': grown.replace('=\n', '=\r\n'),
      'no old size': grown.replace('old 5\n', ''),
      'old in capitals': grown.replace('old', 'OLD'),
      'two spaces': grown.replace('old 5', 'old  5'),
      'a space after the size': grown.replace('old 5', 'old 5 '),
      'a leading zero': grown.replace('old 5', 'old 05'),
      'a plus': grown.replace('old 5', 'old +5'),
      'a negative size': grown.replace('old 5', 'old -5'),
      'a size in hex': grown.replace('old 5', 'old 0x5'),
      'a size with a point': grown.replace('old 5', 'old 5.0'),
      'a size beyond all': grown.replace('old 5', 'old 99999999999999999999'),
      'no blank line': grown.replace('\n\n', '\n'),
      'a hash that is too short': grown.replace('\n\n', `\n${Buffer.alloc(31).toString('base64')}\n\n`),
      'a hash that is too long': grown.replace('\n\n', `\n${Buffer.alloc(33).toString('base64')}\n\n`),
      'a hash in base64url': grown.replace('\n', `\n${Buffer.alloc(32, 255).toString('base64url')}\n`),
      'a hash with loose bits': grown.replace('\n', `\n${hash.slice(0, -2)}B=\n`),
      'a space before a hash': grown.replace('\n', '\n '),
      '64 lines of proof': submissionOf(
        5,
        Array.from({ length: 64 }, () => Buffer.alloc(32)),
        log.noteAt(12),
      ),
      'a checkpoint without signatures': `old 5\n\n${checkpointText(log.headAt(12))}`,
      'a checkpoint that is cut': grown.slice(0, -2),
      'a newline at the end': `${grown}\n`,
      'a checkpoint size with a leading zero': grown.replace('\n12\n', '\n012\n'),
      'a root that is too short': grown.replace(log.headAt(12).root.toString('base64'), 'AAAA'),
      'bytes that are no UTF-8': Buffer.concat([Buffer.from(grown), Uint8Array.of(0xff, 0x0a)]),
      'a NUL': grown.replace('log.example', 'log\0example'),
      'a byte order mark': `\uFEFF${grown}`,
      JSON: JSON.stringify({ old: 5 }),
    }
    for (const [what, body] of Object.entries(bodies)) {
      const { status, text } = await witness.add(body)
      expect({ what, status, text }).toMatchObject({ what, status: 400, text: expect.stringMatching(/^.+\n$/) })
    }
    expect(await witness.add(grown)).toMatchObject({ status: 200 })
  })

  test('what it does not offer is answered 404', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    await witness.add(await growth(log, 0, 5))
    const hash = hashOf(log.origin)
    for (const path of [
      '/',
      '/add-checkpoint',
      `/${hash}`,
      `/${hash.toUpperCase()}/checkpoint`,
      `/${hash.slice(1)}/checkpoint`,
      `/..%2f${hash}/checkpoint`,
      '/../witness.json',
      '/key.json/checkpoint',
    ])
      expect(await ask(witness.url, path)).toMatchObject({ status: 404 })
    expect(await ask(witness.url, '/sign-subtree', 'subtree 0 1\n')).toMatchObject({ status: 404 })
  })
})
