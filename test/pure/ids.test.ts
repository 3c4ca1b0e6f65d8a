import { expect, test } from 'vitest'
import { bornAt, type EntryId, newId } from '../../src/base/ids.ts'

test('what one process does one after the other has ids in that order, however fast it goes', () => {
  const before = Date.now()
  const ids = Array.from({ length: 50_000 }, () => newId<EntryId>())
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true)
  for (const id of [ids[0], ids.at(-1)]) {
    const born = bornAt(id ?? ('' as EntryId)).getTime()
    expect(born >= before && born <= Date.now()).toBe(true)
  }
})
