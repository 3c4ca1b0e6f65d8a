import { sql } from 'kysely'
import { firstIdAt } from '../../base/ids.ts'
import type { Engines } from '../../engines/engines.ts'
import type { Db } from '../../engines/postgres.ts'

/** A partition of the entries: the ids from the first up to but without the last. */
export type Partition = { from: string; to: string }

/** How far there is a place for entries. `ahead`: so many months after this one, one after the other, have theirs. */
export type Months = {
  ahead: number
  /** The first month without a place although a later one has it, or this one itself; such as 2031-05. */
  missing: string | undefined
}

/** Fewer than this are an alarm: a year is long enough for somebody to hear it. */
const wanted = 12
/** Beyond what is ever made, so that an end is found. */
const horizon = 130

const startOf = (month: Temporal.PlainYearMonth): number =>
  month.toPlainDate({ day: 1 }).toZonedDateTime('UTC').epochMilliseconds

/** What the partitions hold of the months from `now` on. */
export const monthsOf = (partitions: readonly Partition[], now: Temporal.Instant): Months => {
  const present = now.toZonedDateTimeISO('UTC').toPlainDate().toPlainYearMonth()
  const months = Array.from({ length: horizon }, (_, n) => present.add({ months: n }))
  const held = months.map((month) => {
    const [first, next] = [firstIdAt(startOf(month)), firstIdAt(startOf(month.add({ months: 1 })))]
    return partitions.some(({ from, to }) => from <= first && to >= next)
  })
  const gap = held.indexOf(false)
  return {
    ahead: Math.max(0, (gap === -1 ? horizon : gap) - 1),
    missing: gap === 0 || (gap !== -1 && held.lastIndexOf(true) > gap) ? months[gap]?.toString() : undefined,
  }
}

/** The partitions there are now, in no order. */
export const partitionsOf = async (db: Db): Promise<Partition[]> => {
  const { rows } = await sql<{ bound: string | null }>`
    select pg_get_expr(pg_class.relpartbound, pg_class.oid) as bound
    from pg_inherits join pg_class on pg_class.oid = pg_inherits.inhrelid
    where pg_inherits.inhparent = 'public.entries'::regclass and not pg_inherits.inhdetachpending`.execute(db)
  return rows.flatMap(({ bound }) => {
    const [, from, to] = /FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)/.exec(bound ?? '') ?? []
    return from === undefined || to === undefined ? [] : [{ from, to }]
  })
}

/** In words, and whether somebody has to look. */
export const monthsInWords = ({ ahead, missing }: Months): { alarm: boolean; says: string } => {
  const so = `there is a place for entries for ${ahead} months ahead`
  if (missing !== undefined)
    return { alarm: true, says: `alarm: there is no place for entries of ${missing}; run the worker, and read its log` }
  if (ahead < wanted) return { alarm: true, says: `alarm: ${so}; run the worker, which makes more` }
  return { alarm: false, says: so }
}

type Watched = Pick<Engines, 'db' | 'clock' | 'metrics'>

/** How it is now; the metric says so too. */
export const lookAtMonths = async ({ db, clock, metrics }: Watched): Promise<Months> => {
  const months = monthsOf(await partitionsOf(db), clock.instant())
  metrics.entryMonths.set({ table: 'entries' }, months.ahead)
  return months
}

/** Makes the months that are missing up to ten years ahead; answers how many. Called by the worker's sweep. */
export const makeMonths = async (engines: Watched & Pick<Engines, 'log'>): Promise<number> => {
  const { rows } = await sql<{ made: number }>`select make_entry_partitions() as made`.execute(engines.db)
  const { alarm, says } = monthsInWords(await lookAtMonths(engines))
  if (alarm) engines.log.error(says)
  return rows[0]?.made ?? 0
}
