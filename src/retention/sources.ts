import type { Db, Tx } from '../engines/postgres.ts'
import { dateOf, type Verdict, type When } from './date.ts'
import { approvedPolicies } from './policy-queries.ts'
import { type After, closedBy, recordedBy, requestedBy, type Subject } from './queries.ts'

/** A recording whose time may have come, and what its facts say. `source` and `place`: where to go on after it. */
export type Candidate = { subject: Subject; verdict: Verdict; source: string }

type Source = { key: string; page(after: After | undefined, limit: number): Promise<Subject[]> }

const pageSize = 500
/** Days. By the calendar a period may be this much shorter than when it is taken off backwards, and never more. */
const slack = { days: 4 }

const keyOf = (category: string | null): string => (category === null ? 'none' : `of ${category}`)

/** Where recordings that may be due by then are found, by an index each; what is really due, `dateOf` says. */
const sourcesUntil = async (db: Db | Tx, until: Temporal.Instant, zone: string): Promise<Source[]> => {
  const policies = await approvedPolicies(db)
  const requests: Source = {
    key: 'asked',
    page: async (after, limit) => await requestedBy(db, new Date(until.epochMilliseconds), after, limit),
  }
  const ofPolicies = policies.map(({ category, trigger, period }): Source => {
    const latest = until.toZonedDateTimeISO(zone).subtract(Temporal.Duration.from(period)).add(slack)
    const key = keyOf(category)
    if (trigger === 'recorded') {
      const by = new Date(latest.epochMilliseconds)
      return { key, page: async (after, limit) => await recordedBy(db, category, by, after, limit) }
    }
    const by = latest.toPlainDate().toString()
    return { key, page: async (after, limit) => await closedBy(db, category, trigger, by, after, limit) }
  })
  return [requests, ...ofPolicies].toSorted((one, other) => (one.key < other.key ? -1 : 1))
}

export const isBy = (when: When, until: Temporal.Instant): boolean =>
  when !== 'keep' && Temporal.Instant.compare(when, until) <= 0

/**
 * Page by page, every recording that is due by then, and those that would be but for a hold or an open case. Memory does not
 * grow with their number. `from`: only what comes after it.
 */
export async function* candidates(
  db: Db | Tx,
  until: Temporal.Instant,
  zone: string,
  from?: { source: string; after: After },
): AsyncGenerator<Candidate[]> {
  for (const { key, page } of await sourcesUntil(db, until, zone)) {
    if (from !== undefined && key < from.source) continue
    let after = from?.source === key ? from.after : undefined
    for (;;) {
      const subjects = await page(after, pageSize)
      yield subjects
        .map((subject) => ({ subject, verdict: dateOf(subject.facts, zone), source: key }))
        .filter(({ verdict }) => isBy(verdict.otherwise, until))
      const last = subjects.at(-1)
      if (last === undefined || subjects.length < pageSize) break
      after = last
    }
  }
}
