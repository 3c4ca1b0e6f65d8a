import { describe, expect, test } from 'vitest'
import { firstIdAt, newId } from '../../src/base/ids.ts'
import { monthsInWords, monthsOf, type Partition } from '../../src/ledger/entries/partitions.ts'

const now = Temporal.Instant.from('2026-11-25T22:15:00Z')
const startOf = (month: string): number => Date.parse(`${month}-01T00:00:00Z`)
const partition = (from: string, to: string): Partition => ({
  from: firstIdAt(startOf(from)),
  to: firstIdAt(startOf(to)),
})

/** A partition for each of so many months, from the first on. */
const each = (first: string, count: number): Partition[] => {
  const months = Array.from({ length: count + 1 }, (_, n) =>
    Temporal.PlainYearMonth.from(first).add({ months: n }).toString(),
  )
  return months.slice(1).map((next, n) => partition(months[n] ?? '', next))
}

describe('the first id of a millisecond', () => {
  test('is before every id that is born in it, and after all that were born before', () => {
    const before = Date.now()
    const id = newId<ReturnType<typeof newId>>()
    const after = Date.now()
    expect(firstIdAt(before) <= id).toBe(true)
    expect(firstIdAt(after + 1) > id).toBe(true)
    expect(firstIdAt(Date.parse('2026-11-25T22:15:10Z'))).toBe('01a214c6-e9b0-0000-0000-000000000000')
  })

  test('of a time that no id can hold is the nearest one', () => {
    expect(firstIdAt(-5)).toBe('00000000-0000-0000-0000-000000000000')
    expect(firstIdAt(Number.POSITIVE_INFINITY)).toBe('ffffffff-ffff-0000-0000-000000000000')
  })
})

describe('months ahead', () => {
  test('are counted after this one, as long as one follows the other', () => {
    expect(monthsOf(each('2026-11', 14), now)).toEqual({ ahead: 13, missing: undefined })
    expect(monthsOf(each('2020-01', 200), now)).toEqual({ ahead: 117, missing: undefined })
  })

  test('end at a gap, which is named', () => {
    const all = each('2026-11', 60)
    expect(monthsOf(all.toSpliced(30, 1), now)).toEqual({ ahead: 29, missing: '2029-05' })
  })

  test('are none when this month has no place, or nothing has', () => {
    expect(monthsOf(each('2026-12', 24), now)).toEqual({ ahead: 0, missing: '2026-11' })
    expect(monthsOf([], now)).toEqual({ ahead: 0, missing: '2026-11' })
    expect(monthsOf(each('2026-11', 1), now)).toEqual({ ahead: 0, missing: undefined })
  })

  test('may lie in one wide partition, and not in half a one', () => {
    expect(monthsOf([...each('2026-11', 3), partition('2027-02', '2028-02')], now)).toEqual({
      ahead: 14,
      missing: undefined,
    })
    const half = { from: firstIdAt(startOf('2027-02')), to: firstIdAt(Date.parse('2027-02-15T00:00:00Z')) }
    expect(monthsOf([...each('2026-11', 3), half], now)).toEqual({ ahead: 2, missing: undefined })
  })

  test('begin with the month that it is in UTC', () => {
    const [last, first] = ['2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'].map((at) => Temporal.Instant.from(at))
    expect(monthsOf(each('2026-12', 13), last ?? now)).toEqual({ ahead: 12, missing: undefined })
    expect(monthsOf(each('2026-12', 13), first ?? now)).toEqual({ ahead: 11, missing: undefined })
  })

  test('are an alarm when they are fewer than twelve, or one among them is missing', () => {
    expect(monthsInWords({ ahead: 12, missing: undefined }).alarm).toBe(false)
    expect(monthsInWords({ ahead: 11, missing: undefined })).toMatchObject({
      alarm: true,
      says: expect.stringMatching(/^alarm: .*11 months/),
    })
    expect(monthsInWords({ ahead: 60, missing: '2031-12' })).toMatchObject({
      alarm: true,
      says: expect.stringMatching(/^alarm: .*2031-12/),
    })
  })
})
