import { test } from 'vitest'

/** What takes minutes, or an hour, runs with `npm run test:long` alone. */
const isLong = process.env.TEST_LONG !== undefined

/** A test that `npm test` leaves out. */
export const longTest = test.runIf(isLong)

/** How often to try what only shows in many tries. */
export const times = (usually: number, long: number): number => (isLong ? long : usually)

/** Of a table of cases, the first few, which tell most; all of them in the long run. */
export const someOf = <Case>(few: number, cases: readonly Case[]): readonly Case[] =>
  isLong ? cases : cases.slice(0, few)
