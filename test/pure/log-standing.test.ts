import { expect, test } from 'vitest'
import { bornAt, type EntryId } from '../../src/base/ids.ts'
import { type LogStanding, logInWords } from '../../src/ledger/log/standing.ts'

const now = new Date('2026-11-30T12:00:00Z')
const standing: LogStanding = { origin: 'exhibit.local/x', size: 702, owed: 0, waitingSince: null, halted: null }
const waiting = (seconds: number): LogStanding => ({
  ...standing,
  owed: 3,
  waitingSince: new Date(now.getTime() - seconds * 1000),
})

test.each<[string, LogStanding | undefined, number, boolean, RegExp]>([
  ['has not begun', undefined, 1, false, /not begun/],
  ['has nothing to do', standing, 1, false, /^exhibit\.local\/x: 702 leaves under a checkpoint$/],
  ['is at work', waiting(2), 1, false, /3 entries wait, the oldest for 2 s$/],
  ['waits for its interval', waiting(3000), 3600, false, /3 entries wait/],
  [
    'stands still',
    waiting(61),
    1,
    true,
    /is a worker at work, can it write to the store, and does a witness answer it\?$/,
  ],
  ['stands still in spite of its interval', waiting(700), 60, true, /the oldest for 700 s/],
  ['waits by a clock that was set back', waiting(-9000), 1, false, /the oldest for 0 s/],
  [
    'is halted',
    { ...standing, halted: 'It is an older one. Run exhibit ledger recover.' },
    1,
    true,
    /^HALTED.*ledger recover/,
  ],
])('an operator is told that the log %s', (_name, found, interval, alarm, words) => {
  const told = logInWords(found, now, interval)
  expect(told.alarm).toBe(alarm)
  expect(told.says).toMatch(words)
})

test('an id says when it was born', () => {
  expect(bornAt('01a21080-1f40-7c11-8a2b-3d4e5f607182' as EntryId)).toEqual(new Date(0x01a210801f40))
})
