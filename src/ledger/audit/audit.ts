import type { Clock } from '../../engines/clock.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import type { Store } from '../../engines/store.ts'
import { allLogs, logKeyOf } from '../log/log.ts'
import { logKey } from '../log/tree.ts'
import { auditErasureRows } from './erasures.ts'
import { type Finding, type Findings, makeFindings } from './finding.ts'
import { endOf, followedLogs, lookForGone } from './followed.ts'
import { auditGuards } from './guards.ts'
import { type AuditedLog, auditLog, standingOf } from './log.ts'
import { auditOwed } from './owed.ts'
import { type Given, givenClaims } from './witnessed.ts'

export type AuditReport = {
  ok: boolean
  logs: AuditedLog[]
  /** Entries that wait to become leaves. */
  owed: number
  findings: Finding[]
}

export type AuditWish = {
  /** Checkpoints that outsiders kept. */
  given?: readonly Given[]
  /** Told how many leaves of a log are done. */
  moved?: (log: string, leaves: number, of: number) => void
}

type Reached = { db: Db; store: Store; clock: Clock }

/** A log after the last one that is known is one that a newer database began. */
const lookForUnknown = async ({ db, store }: Omit<Reached, 'clock'>, known: readonly LogRow[], findings: Findings) => {
  const next = (known.at(-1)?.number ?? 0) + 1
  if ((await store.list('ledger', logKey(next, ''))).length === 0) return
  // It may have begun while we looked at the others.
  if ((await allLogs(db)).some(({ number }) => number === next)) return
  findings.note('log-unknown', next, { object: logKey(next, '') })
}

/**
 * Recomputes the whole ledger from the database and from the store, up to what was published when it began, and holds both
 * against each other and against every checkpoint. Changes nothing, and may run beside everything. Throws
 * `store-unavailable`.
 */
export const auditLedger = async (
  { db, store, clock }: Reached,
  { given = [], moved }: AuditWish = {},
): Promise<AuditReport> => {
  const findings = makeFindings()
  await auditGuards(db, clock, findings)
  const known = await allLogs(db)
  const followed = await followedLogs(db)
  lookForGone(known, followed, findings)
  const logs: AuditedLog[] = []
  for (const log of known) {
    const standing = await standingOf({ db, store }, log, endOf(log, followed, findings))
    const of = standing.numbered
    moved?.(log.origin, 0, of)
    const told = (leaves: number): void => moved?.(log.origin, leaves, of)
    logs.push(await auditLog({ db, store, standing, given, findings, moved: told }))
  }
  for (const { object, note } of given)
    if (known.every((log) => givenClaims([{ object, note }], logKeyOf(log)).length === 0))
      findings.note('given-unsigned', null, { object })
  await lookForUnknown({ db, store }, known, findings)
  const owed = await auditOwed(db, findings)
  await auditErasureRows(db, findings)
  const all = findings.all()
  return { ok: all.length === 0, logs, owed, findings: all }
}
