import type { WatchedRange } from '../engines/tables.ts'

/** Ranges closer than this are one: segments meet within a frame, and seldom to the microsecond. */
const touchMs = 50

// Whole milliseconds, so that what was written and read back compares equal.
const ms = (seconds: number): number => Math.round(seconds * 1000)

/** Whether the range was watched already. */
export const covers = (watched: readonly WatchedRange[], [start, end]: WatchedRange): boolean =>
  watched.some(([from, to]) => ms(from) <= ms(start) && ms(to) >= ms(end))

/** `watched` (sorted, nothing in it touching) with one more range, in the same form; to the millisecond. */
export const withRange = (watched: readonly WatchedRange[], [start, end]: WatchedRange): WatchedRange[] => {
  let [from, to] = [ms(start), ms(end)]
  const before: WatchedRange[] = []
  const after: WatchedRange[] = []
  for (const range of watched) {
    const [first, last] = [ms(range[0]), ms(range[1])]
    if (from - last > touchMs) before.push(range)
    else if (first - to > touchMs) after.push(range)
    else [from, to] = [Math.min(from, first), Math.max(to, last)]
  }
  return [...before, [from / 1000, to / 1000], ...after]
}
