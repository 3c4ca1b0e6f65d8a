import { openCheckpoint } from '../../base/checkpoint.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import { logKeyOf } from '../log/log.ts'
import { firstEntries } from '../log/queries.ts'
import { membersOf } from './body.ts'
import type { Claim } from './claims.ts'
import type { Findings } from './finding.ts'

/** What the first leaf of a log says of the one that it follows. */
export type Followed = { log: number; origin: string; checkpoint?: string; abandoned?: string }

export const followedLogs = async (db: Db): Promise<Followed[]> =>
  (await firstEntries(db)).flatMap(({ log, action, parts }) => {
    const { origin, checkpoint, abandoned } = membersOf(parts.detail?.value)
    if (action !== 'log.rotated' || typeof origin !== 'string') return []
    const { because } = membersOf(abandoned)
    return [
      {
        ...{ log, origin },
        ...(typeof checkpoint === 'string' ? { checkpoint } : {}),
        ...(typeof because === 'string' ? { abandoned: because } : {}),
      },
    ]
  })

/** How a log ended: its last checkpoint, and why it was left as it stood, where it was. Nothing of one that grows. */
export type End = { last: Claim[]; abandoned?: string }

/** By the first leaf of the log that followed it, which nobody changes unseen. */
export const endOf = (log: LogRow, followed: readonly Followed[], findings: Findings): End => {
  const followers = followed.filter(({ origin }) => origin === log.origin)
  const last = followers.flatMap(({ log: follower, checkpoint }): Claim[] => {
    if (checkpoint === undefined) return []
    const object = `the first leaf of log ${follower}`
    const head = openCheckpoint(checkpoint, logKeyOf(log))
    if (head !== null) return [{ kind: 'checkpoint-root', object, size: head.size, root: head.root }]
    findings.note('end-unproven', log.number, { object, says: 'it is not signed by the key of this log' })
    return []
  })
  if (log.toAt !== null && followers.length === 0)
    findings.note('end-unproven', log.number, { says: 'no first leaf of another log names it' })
  // One log follows another. Of several all but one are made up, and none of them excuses anything.
  const abandoned = followers.length === 1 ? followers[0]?.abandoned : undefined
  return { last, ...(abandoned === undefined ? {} : { abandoned }) }
}

/** A log that another one follows cannot have gone. */
export const lookForGone = (known: readonly LogRow[], followed: readonly Followed[], findings: Findings): void => {
  for (const { log, origin } of followed)
    if (known.every((each) => each.origin !== origin))
      findings.note('log-missing', log, { object: origin, says: 'it is named by the first leaf of this log' })
}
