import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import { firstEntries } from '../log/queries.ts'
import { membersOf } from './body.ts'
import type { Findings } from './finding.ts'

/** What the first leaf of a log says of the one that it follows. */
export type Followed = { log: number; origin: string; abandoned?: string }

export const followedLogs = async (db: Db): Promise<Followed[]> =>
  (await firstEntries(db)).flatMap(({ log, action, parts }) => {
    const { origin, abandoned } = membersOf(parts.detail?.value)
    if (action !== 'log.rotated' || typeof origin !== 'string') return []
    const { because } = membersOf(abandoned)
    return [{ log, origin, ...(typeof because === 'string' ? { abandoned: because } : {}) }]
  })

/** A log that another one follows cannot have gone. */
export const lookForGone = (known: readonly LogRow[], followed: readonly Followed[], findings: Findings): void => {
  for (const { log, origin } of followed)
    if (known.every((each) => each.origin !== origin))
      findings.note('log-missing', log, { object: origin, says: 'it is named by the first leaf of this log' })
}
