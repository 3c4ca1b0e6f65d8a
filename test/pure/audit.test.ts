import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { EntryId } from '../../src/base/ids.ts'
import { emptyRoot, leafHash, rootOf } from '../../src/base/merkle.ts'
import { tilesSince } from '../../src/base/tiles.ts'
import { systemClock } from '../../src/engines/clock.ts'
import { type Body, examineBody } from '../../src/ledger/audit/body.ts'
import { chunkLeaves, chunkOf, makeFrontier } from '../../src/ledger/audit/chunk.ts'
import { claimsOf } from '../../src/ledger/audit/claims.ts'
import { makeFindings } from '../../src/ledger/audit/finding.ts'
import { kinds } from '../../src/ledger/audit/kinds.ts'
import { readAhead } from '../../src/ledger/audit/read-ahead.ts'
import { makeUpperTiles, type UpperTile } from '../../src/ledger/audit/upper-tiles.ts'
import { type Act, sealEntry } from '../../src/ledger/entry.ts'

const leaf = (n: number): Buffer => createHash('sha256').update(`leaf ${n}`).digest()

describe('a tree that is rebuilt chunk by chunk', () => {
  const leaves = Array.from({ length: 1100 }, (_, n) => leaf(n))
  const hashes = leaves.map(leafHash)

  test('has at every size the root that RFC 6962 gives', () => {
    const frontier = makeFrontier()
    for (let start = 0; start < leaves.length; start += chunkLeaves) {
      const chunk = chunkOf(leaves.slice(start, start + chunkLeaves))
      for (let width = 1; width <= chunk.width; width++) {
        const size = start + width
        if (size > 300 && size % 37 !== 0) continue
        expect(frontier.rootWith(chunk, width).equals(rootOf(hashes.slice(0, size))), `${size} leaves`).toBe(true)
      }
      if (chunk.width === chunkLeaves) frontier.add(chunk)
    }
    expect(makeFrontier().rootWith(chunkOf([]), 0).equals(emptyRoot)).toBe(true)
  })

  test('has the tiles of the upper levels that C2SP names, each with the hashes that stand below it', async () => {
    const told: UpperTile[] = []
    const upper = makeUpperTiles(async (tile) => void told.push(tile))
    const chunk = chunkOf(leaves.slice(0, chunkLeaves))
    const chunks = 256 + 3
    for (let n = 0; n < chunks; n++) await upper.add(chunk)
    await upper.end()
    const expected = tilesSince(0, chunks * chunkLeaves).filter((tile) => tile.kind === 'hashes' && tile.level > 0)
    const placed = told.map(({ level, index, width }) => ({ kind: 'hashes', level, index, width }))
    expect(placed.toSorted((a, b) => a.level - b.level || a.index - b.index)).toEqual(expected)
    expect(
      told
        .find(({ level }) => level === 2)
        ?.row.equals(rootOf(Array.from({ length: 65_536 }, (_, n) => hashes[n % 256] ?? emptyRoot))),
    ).toBe(true)
  })
})

describe('a body is held against its leaf', () => {
  const act: Act = {
    ...{ operation: 'disclosure', action: 'bundle.made', subject: { type: 'bundle', id: 'b' } },
    ...{ actor: { kind: 'person', id: 'P', role: 'disclosure' }, recipient: 'CPS', policy: ['a', 1.5e-7, null, true] },
    // Members that the database keeps in another order than the seal has them, and text of every kind.
    detail: { zz: 1, a: { long: 'ä € 😀 \u2028 "\\', b: -0.1 }, '10': 2, '2': 3, '': [] },
  }
  const sealed = sealEntry(act, systemClock)
  const body: Body = { id: sealed.id, entry: sealed.entry, salt: sealed.salt, parts: sealed.parts, erased: null }
  /** As the database gives it back: jsonb orders members by their length. */
  const reordered = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reordered)
    if (typeof value !== 'object' || value === null) return value
    const members = Object.entries(value).toSorted(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))
    return Object.fromEntries(members.map(([name, member]) => [name, reordered(member)]))
  }
  const faults = (over: Partial<Body>, id: EntryId = sealed.id) =>
    examineBody(id, sealed.leaf, { ...body, ...over }).faults

  test('and is right as it was sealed, in whatever order its members are kept', () => {
    expect(faults({})).toEqual([])
    expect(faults({ parts: reordered(sealed.parts) as Body['parts'] })).toEqual([])
  })

  test.each([
    ['its text', { entry: sealed.entry.replace('bundle.made', 'bundle.madE') }, 'body-changed'],
    ['its salt', { salt: Buffer.alloc(16) }, 'body-changed'],
    [
      'a byte that moved from the text to the salt',
      { salt: Buffer.concat([sealed.salt, Buffer.from('{')]), entry: sealed.entry.slice(1) },
      'body-changed',
    ],
    ['text without salt', { salt: null }, 'body-deleted'],
    [
      'a number beyond all, as no JSON has it',
      {
        parts: { ...sealed.parts, policy: { value: Number.POSITIVE_INFINITY, salt: sealed.parts.policy?.salt ?? '' } },
      },
      'part-changed',
    ],
    [
      'a salt in capitals',
      {
        parts: {
          ...sealed.parts,
          actor: { value: sealed.parts.actor?.value ?? '', salt: sealed.parts.actor?.salt.toUpperCase() ?? '' },
        },
      },
      'part-changed',
    ],
  ] as const)('and is found changed: %s', (_what, over, kind) => {
    expect(faults(over as Partial<Body>)).toMatchObject([{ kind }])
  })

  test('and under another id it is another’s', () => {
    const id = '01a2107f-f878-7b43-9c50-4fa401b6f2b1' as EntryId
    expect(faults({}, id)).toEqual([{ kind: 'body-misplaced' }])
  })

  test('and what is named as erased is to be proven, part by part', () => {
    const { actor: _, ...parts } = sealed.parts
    const erasure = '01a2107f-f878-7b43-9c50-4fa401b6f2b9' as EntryId
    const found = examineBody(sealed.id, sealed.leaf, { ...body, parts, erased: { actor: erasure } })
    expect(found).toEqual({
      faults: [],
      named: [{ of: sealed.id, part: 'actor', erasure, about: { type: 'bundle', id: 'b' } }],
      taken: null,
    })
    const whole = { ...body, entry: null, salt: null, parts: {}, erased: { actor: erasure, body: erasure } }
    expect(examineBody(sealed.id, sealed.leaf, whole).faults).toEqual([])
    expect(examineBody(sealed.id, sealed.leaf, { ...whole, parts }).faults).toEqual([
      { kind: 'erasure-not-done', part: 'body' },
    ])
    expect(examineBody(sealed.id, sealed.leaf, undefined).faults).toEqual([{ kind: 'body-deleted' }])
  })
})

test('claims come in the order of their sizes, each once', async () => {
  const claim = (size: number) => ({ kind: 'store-root' as const, object: `${size}`, size, root: emptyRoot })
  const claims = claimsOf([300, 5, 256, 5, 700].map(claim))
  const sizes = async (to: number) => (await claims.upTo(to)).map(({ size }) => size)
  expect([await sizes(4), await sizes(256), await sizes(256), await sizes(1000)]).toEqual([
    [],
    [5, 5, 256],
    [],
    [300, 700],
  ])
})

test('what is read ahead comes in its order, never more at once than is said, and a failure is told where it stands', async () => {
  let underWay = 0
  let most = 0
  const read = (n: number) => async () => {
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise((resolve) => setTimeout(resolve, n % 3))
    underWay -= 1
    if (n === 15) throw new Error('the fifteenth')
    return n
  }
  const got: number[] = []
  const reading = async (count: number) => {
    for await (const n of readAhead(
      Array.from({ length: count }, (_, n) => read(n)),
      4,
    ))
      got.push(n)
  }
  await reading(12)
  expect(got).toEqual(Array.from({ length: 12 }, (_, n) => n))
  expect(most).toBe(4)
  await expect(reading(30)).rejects.toThrow('the fifteenth')
  expect(got.slice(12)).toEqual(Array.from({ length: 15 }, (_, n) => n))
})

test('of each kind and log the first is kept and all are counted', () => {
  const findings = makeFindings()
  findings.note('body-changed', 1, { index: 4 })
  findings.note('body-changed', 1, { index: 9 }, 3)
  findings.note('body-changed', 2, { index: 1 })
  expect(findings.all()).toMatchObject([
    { kind: 'body-changed', log: 1, count: 4, first: { index: 4 }, next: kinds['body-changed'].next },
    { kind: 'body-changed', log: 2, count: 1, first: { index: 1 } },
  ])
})

test('the operator’s page tells of every kind of finding', () => {
  const page = readFileSync(new URL('../../docs/operate.md', import.meta.url), 'utf8')
  expect(Object.keys(kinds).filter((kind) => !page.includes(`\`${kind}\``))).toEqual([])
})
