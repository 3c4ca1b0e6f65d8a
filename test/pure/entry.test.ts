import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { canonical, type Json } from '../../src/base/canonical.ts'
import { type Act, leafOf, sealEntry, sealOf } from '../../src/ledger/entry.ts'

const clock = {
  now: () => new Date('2026-11-25T22:15:00.123Z'),
  instant: () => Temporal.Instant.from('2026-11-25T22:15:00.123456789Z'),
}

const act: Act = {
  operation: 'collection',
  action: 'upload.stored',
  subject: { type: 'upload', id: '01a2107f-f878-7b43-9c50-4fa401b6f2b1' },
  actor: { kind: 'dock', id: '01a2107f-f878-7b43-9c50-4fa401b6f2b2' },
  detail: { size: 1, name: 'é' },
}

const countingSalts = () => {
  let count = 0
  return () => Buffer.alloc(16, count++)
}

test('an entry says who only as a digest that the kept part and its salt give again', () => {
  const { entry, parts } = sealEntry(act, clock)
  const said = JSON.parse(entry)
  expect(entry).not.toContain('dock')
  const actor = parts.actor
  if (actor === undefined) throw new Error('no actor was kept')
  const salt = Buffer.from(actor.salt, 'hex')
  expect(salt).toHaveLength(16)
  const again = createHash('sha256')
    .update(salt)
    .update('{"id":"01a2107f-f878-7b43-9c50-4fa401b6f2b2","kind":"dock"}')
    .digest('hex')
  expect(said.sealed.actor).toBe(again)
})

test('parts that are absent are left out of the entry, and every part has a salt of its own', () => {
  const { entry, parts } = sealEntry(act, clock)
  expect(Object.keys(JSON.parse(entry).sealed)).toEqual(['actor', 'detail'])
  expect(parts.actor?.salt).not.toBe(parts.detail?.salt)
})

test('an entry tells the time of the server in UTC to the microsecond', () => {
  expect(JSON.parse(sealEntry(act, clock).entry).at).toBe('2026-11-25T22:15:00.123456Z')
})

test('the leaf is the digest of the salt followed by the canonical entry', () => {
  const { entry, salt, leaf } = sealEntry(act, clock, countingSalts())
  expect(salt).toEqual(Buffer.alloc(16, 2))
  expect(leaf.toString('hex')).toBe(createHash('sha256').update(salt).update(entry, 'utf8').digest('hex'))
})

test('the published vectors of entries, sealed parts and leaves hold', async () => {
  const vectors: {
    canonical: { value: Json; text: string }[]
    seal: { salt: string; value: Json; digest: string }[]
    leaf: { salt: string; entry: string; leaf: string }[]
  } = JSON.parse(await readFile(new URL('../../docs/vectors/entry.json', import.meta.url), 'utf8'))
  for (const each of vectors.canonical) expect(canonical(each.value)).toBe(each.text)
  for (const each of vectors.seal) expect(sealOf(Buffer.from(each.salt, 'hex'), each.value)).toBe(each.digest)
  for (const each of vectors.leaf)
    expect(leafOf(Buffer.from(each.salt, 'hex'), each.entry).toString('hex')).toBe(each.leaf)
  expect(vectors.leaf.length).toBeGreaterThan(0)
})
