import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkpointText, cosign } from '../../src/base/checkpoint.ts'
import { inclusionPath } from '../../src/base/merkle.ts'
import { noteKey, signNote } from '../../src/base/note.ts'
import { formatProof, parseProof, type TlogProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { newNoteKey } from '../note-keys.ts'
import { pathIn, subtreesOf, treeOf } from '../second-tree.ts'

const origin = 'example.com/fancylog'
const { key, privateKey } = newNoteKey(origin)
const leaves = Array.from({ length: 70 }, (_, index) => Buffer.alloc(32, index + 1))
const leafAt = (index: number) => leaves[index] ?? Buffer.alloc(0)
const mth = treeOf(leaves)

const checkpointOf = (size: number) => {
  return signNote(checkpointText({ origin, size, root: mth(0, size) }), key, privateKey)
}
const proofOf = async (index: number, size: number): Promise<TlogProof> => ({
  extra: leafAt(index),
  index,
  path: await inclusionPath(index, size, subtreesOf(mth, size)),
  checkpoint: checkpointOf(size),
})
const faultOf = (proof: TlogProof, leaf: Buffer, by = key): string => {
  const verdict = verifyProof(proof, leaf, by)
  return 'fault' in verdict ? verdict.fault : 'none'
}

const proof = await proofOf(5, 11)
const text = formatProof(proof)

describe('a proof as text', { timeout: 60_000 }, () => {
  test('is laid out as the specification shows it', () => {
    expect(text).toBe(
      [
        'c2sp.org/tlog-proof@v1',
        `extra ${leafAt(5).toString('base64')}`,
        'index 5',
        ...pathIn(mth, 5, 0, 11).map((hash) => hash.toString('base64')),
        '',
        proof.checkpoint,
      ].join('\n'),
    )
    expect(proof.path).toHaveLength(4)
  })

  // The example of C2SP tlog-proof, whose signatures the specification cuts short: ours stand in their place.
  test('in the example of the specification is read', () => {
    const example = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJwAA
— witness1.example mJirIkAA
`
    const parsed = parseProof(example)
    expect(parsed).toMatchObject({ index: 73_894 })
    expect(parsed?.extra?.subarray(0, 8).toString()).toBe('age-v1.2')
    expect(parsed?.path).toHaveLength(5)
    expect(parsed?.checkpoint.startsWith('example.com/fancylog\n109482\n')).toBe(true)
  })

  test('is read as it was written, with and without extra data, with cosignatures below the checkpoint', async () => {
    const witness = newNoteKey('witness.example', 4)
    const extras = fc.option(fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)))
    const places = fc.record({ size: fc.integer({ min: 1, max: 70 }), any: fc.nat(), extra: extras })
    await fc.assert(
      fc.asyncProperty(places, async ({ size, any, extra }) => {
        const plain = await proofOf(any % size, size)
        const line = cosign(checkpointText({ origin, size, root: mth(0, size) }), 5, witness.key, witness.privateKey)
        const whole = { ...plain, extra, checkpoint: plain.checkpoint + line }
        expect(parseProof(formatProof(whole))).toEqual(whole)
        expect(faultOf(whole, leafAt(plain.index))).toBe('none')
      }),
    )
  })

  test('of a tree of one leaf has no path', async () => {
    const single = await proofOf(0, 1)
    expect(formatProof(single)).toContain(`index 0\n\n${origin}\n1\n`)
    expect(parseProof(formatProof(single))).toEqual(single)
    expect(faultOf(single, leafAt(0))).toBe('none')
  })

  const [extraLine = '', indexLine = '', firstHash = ''] = text.split('\n').slice(1)
  test.for<[string, (text: string) => string]>([
    ['nothing', () => ''],
    ['another first line', (it) => it.replace('@v1', '@v2')],
    ['an empty line before the first', (it) => `\n${it}`],
    ['a space behind the first line', (it) => it.replace('@v1\n', '@v1 \n')],
    ['carriage returns', (it) => it.replaceAll('\n', '\r\n')],
    ['no index', (it) => it.replace(`${indexLine}\n`, '')],
    ['two indexes', (it) => it.replace(indexLine, `${indexLine}\n${indexLine}`)],
    ['two lines of extra data', (it) => it.replace(extraLine, `${extraLine}\n${extraLine}`)],
    ['the extra data behind the index', (it) => it.replace(`${extraLine}\n${indexLine}`, `${indexLine}\n${extraLine}`)],
    ['a line that nobody knows', (it) => it.replace(indexLine, `size 11\n${indexLine}`)],
    ['extra data that is no base64', (it) => it.replace(extraLine, 'extra !')],
    ['extra data without padding', (it) => it.replace(extraLine, extraLine.replaceAll('=', ''))],
    ['extra data behind two spaces', (it) => it.replace('extra ', 'extra  ')],
    ['no space behind extra', (it) => it.replace(extraLine, 'extra')],
    ['an index with a leading zero', (it) => it.replace(indexLine, 'index 05')],
    ['a negative index', (it) => it.replace(indexLine, 'index -5')],
    ['an index of 2^53', (it) => it.replace(indexLine, 'index 9007199254740992')],
    ['an index that is no number', (it) => it.replace(indexLine, 'index five')],
    ['an empty index', (it) => it.replace(indexLine, 'index ')],
    ['a space behind the index', (it) => it.replace(indexLine, 'index 5 ')],
    ['a word in capitals', (it) => it.replace('index', 'Index')],
    ['a hash of 31 bytes', (it) => it.replace(firstHash, Buffer.alloc(31).toString('base64'))],
    ['a hash of 33 bytes', (it) => it.replace(firstHash, Buffer.alloc(33).toString('base64'))],
    ['a hash in hexadecimal', (it) => it.replace(firstHash, Buffer.alloc(32).toString('hex'))],
    ['a hash without padding', (it) => it.replace(firstHash, firstHash.replace('=', ''))],
    ['two hashes on a line', (it) => it.replace(`${firstHash}\n`, firstHash)],
    ['an empty line within the path', (it) => it.replace(firstHash, `${firstHash}\n`)],
    ['a path of 64 hashes', (it) => it.replace(firstHash, Array.from({ length: 61 }, () => firstHash).join('\n'))],
    ['no empty line before the checkpoint', (it) => it.replace('\n\n', '\n')],
    ['two empty lines before the checkpoint', (it) => it.replace('\n\n', '\n\n\n')],
    ['no checkpoint', (it) => it.slice(0, it.indexOf('\n\n') + 2)],
    ['a checkpoint without a signature', (it) => it.slice(0, it.lastIndexOf('\n\n') + 1)],
    ['a note that is no checkpoint', (it) => it.replace(`${origin}\n11\n`, `${origin}\neleven\n`)],
    ['no newline at the end', (it) => it.slice(0, -1)],
    ['text behind the checkpoint', (it) => `${it}more\n`],
    ['half of a surrogate pair', (it) => it.replace('fancylog', 'fancy\ud83dlog')],
    ['a zero byte', (it) => it.replace('fancylog', 'fancy\0log')],
    ['more than 64 KiB', (it) => it.replace(extraLine, `extra ${'AAAA'.repeat(16_384)}`)],
  ])('is not read with %s', ([, alter]) => {
    expect(alter(text)).not.toBe(text)
    expect(parseProof(alter(text))).toBeNull()
  })

  test('may have a path of 63 hashes, and 48 KiB of extra data', () => {
    const hash = leafAt(1)
    expect(parseProof(formatProof({ ...proof, path: Array.from({ length: 63 }, () => hash) }))?.path).toHaveLength(63)
    const extra = Buffer.alloc(48_000, 1)
    expect(parseProof(formatProof({ ...proof, extra }))?.extra).toEqual(extra)
  })

  test.for<[string, Partial<TlogProof>]>([
    ['a negative index', { index: -1 }],
    ['half an index', { index: 0.5 }],
    ['a hash of 31 bytes', { path: [Buffer.alloc(31)] }],
    ['too long a path', { path: Array.from({ length: 64 }, () => Buffer.alloc(32)) }],
    ['too much extra data', { extra: Buffer.alloc(65_536) }],
    ['no checkpoint', { checkpoint: '' }],
    ['a note that is no checkpoint', { checkpoint: signNote('hello\n', key, privateKey) }],
  ])('is not made of %s', ([, part]) => {
    expect(() => formatProof({ ...proof, ...part })).toThrow(RangeError)
  })

  test('is read in time that grows with its length only', () => {
    const awkward = [
      `c2sp.org/tlog-proof@v1\n${'\n'.repeat(65_000)}`,
      `c2sp.org/tlog-proof@v1\nindex 0\n${'a\n'.repeat(30_000)}\n${proof.checkpoint}`,
      `c2sp.org/tlog-proof@v1\nindex ${'1'.repeat(64_000)}\n\n${proof.checkpoint}`,
      `${text.slice(0, -1)}${'\n\n'.repeat(500_000)}`,
    ]
    const start = process.cpuUsage()
    for (const long of awkward) expect(parseProof(long)).toBeNull()
    expect(process.cpuUsage(start).user).toBeLessThan(1_000_000) // microseconds
  })
})

describe('a proof that is checked', { timeout: 60_000 }, () => {
  test('gives the head that its log signed, for every leaf of every size', async () => {
    for (let size = 1; size <= leaves.length; size += 1) {
      const checkpoint = checkpointOf(size)
      for (let index = 0; index < size; index += 7) {
        const verdict = verifyProof({ ...(await proofOf(index, size)), checkpoint }, leafAt(index), key)
        expect(verdict).toEqual({ head: { origin, size, root: mth(0, size) } })
      }
    }
  })

  test('does not trust its extra data', () => {
    expect(faultOf({ ...proof, extra: null }, leafAt(5))).toBe('none')
    expect(faultOf({ ...proof, extra: leafAt(6) }, leafAt(5))).toBe('none')
    expect(faultOf(proof, leafAt(6))).toContain('the path does not lead from this entry')
  })

  test('says what is wrong with it', async () => {
    const path = 'the path does not lead from this entry, as leaf'
    const other = newNoteKey(origin)
    const elsewhere = newNoteKey('example.com/other')
    const [first = leafAt(0), ...rest] = proof.path
    const flipped = Buffer.from(first)
    flipped[0] = (flipped[0] ?? 0) ^ 1

    expect(faultOf(proof, leafAt(5))).toBe('none')
    expect(faultOf({ ...proof, index: 4 }, leafAt(5))).toBe(`${path} 4, to the root that the checkpoint gives`)
    expect(faultOf({ ...proof, path: [flipped, ...rest] }, leafAt(5))).toContain(path)
    expect(faultOf({ ...proof, path: rest }, leafAt(5))).toContain(path)
    expect(faultOf({ ...proof, path: [...proof.path, first] }, leafAt(5))).toContain(path)
    expect(faultOf({ ...proof, checkpoint: checkpointOf(12) }, leafAt(5))).toContain(path)
    expect(faultOf({ ...proof, index: 11 }, leafAt(5))).toBe(
      'the proof is for leaf 11, and the checkpoint covers 11 leaves only',
    )
    expect(faultOf(proof, Buffer.alloc(0))).toContain(path)
    expect(faultOf(proof, leafAt(5), other.key)).toContain('the checkpoint is not signed with the key')
    expect(faultOf(proof, leafAt(5), elsewhere.key)).toBe('the checkpoint is of another log than example.com/other')
    expect(faultOf(proof, leafAt(5), noteKey(origin, 4, key.publicKey))).toContain('is not signed with the key')
    const forged = proof.checkpoint.replace('\n11\n', '\n12\n')
    expect(faultOf({ ...proof, checkpoint: forged }, leafAt(5))).toContain('is not by the key')
    expect(faultOf({ ...proof, checkpoint: 'hello\n' }, leafAt(5))).toBe('the checkpoint is not well formed')
  })

  test('fails after any change of one character outside its extra data and further signatures', () => {
    const from = text.indexOf('index')
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('', 'A', '0', '5', '\n', ' ', '='), (any, put) => {
        const at = from + (any % (text.length - from))
        const changed = text.slice(0, at) + put + text.slice(at + 1)
        if (changed === text) return
        const parsed = parseProof(changed)
        if (parsed !== null) expect(faultOf(parsed, leafAt(5))).not.toBe('none')
      }),
      { numRuns: 500 },
    )
  })
})
