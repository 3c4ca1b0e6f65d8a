import type { Clock } from '../../engines/clock.ts'
import type { Config } from '../../engines/config.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import type { Store } from '../../engines/store.ts'
import { seenByWitnesses } from '../cosigning/asking.ts'
import { allLogs, logKeyOf } from '../log/log.ts'
import { logKey } from '../log/tree.ts'
import { auditErasureRows } from './erasures.ts'
import { type Finding, type Findings, makeFindings } from './finding.ts'
import { endOf, followedLogs, lookForGone } from './followed.ts'
import { auditGuards } from './guards.ts'
import { type AuditedLog, auditLog, standingOf } from './log.ts'
import { auditOwed } from './owed.ts'
import { type Given, givenClaims, shownClaims } from './witnessed.ts'

export type AuditReport = {
  ok: boolean
  logs: AuditedLog[]
  /** Entries that wait to become leaves. */
  owed: number
  /** Names of the configured witnesses that did not say what they have seen. */
  unasked: string[]
  findings: Finding[]
}

export type AuditWish = {
  /** Checkpoints that outsiders kept. */
  given?: readonly Given[]
  /** Told how many leaves of a log are done. */
  moved?: (log: string, leaves: number, of: number) => void
}

type Reached = { db: Db; store: Store; clock: Clock; config: Pick<Config, 'LEDGER_WITNESSES'> }

/** A log after the last one that is known is one that a newer database began. */
const lookForUnknown = async (
  { db, store }: Pick<Reached, 'db' | 'store'>,
  known: readonly LogRow[],
  findings: Findings,
) => {
  const next = (known.at(-1)?.number ?? 0) + 1
  if ((await store.list('ledger', logKey(next, ''))).length === 0) return
  // It may have begun while we looked at the others.
  if ((await allLogs(db)).some(({ number }) => number === next)) return
  findings.note('log-unknown', next, { object: logKey(next, '') })
}

/**
 * Recomputes the whole ledger from the database and from the store, up to what was published when it began, and holds both
 * against each other and against every checkpoint, those that the witnesses show among them. Changes nothing, and may run
 * beside everything. Throws `store-unavailable`.
 */
export const auditLedger = async (
  { db, store, clock, config }: Reached,
  { given = [], moved }: AuditWish = {},
): Promise<AuditReport> => {
  const findings = makeFindings()
  await auditGuards(db, clock, findings)
  const known = await allLogs(db)
  // Before the database is asked how far it is: meanwhile both go on.
  const asked = new Map(
    await Promise.all(known.map(async (log) => [log.number, await seenByWitnesses({ config, db }, log)] as const)),
  )
  const followed = await followedLogs(db)
  lookForGone(known, followed, findings)
  const logs: AuditedLog[] = []
  const silent = new Set<string>()
  for (const log of known) {
    const { shown, unasked } = shownClaims(log, asked.get(log.number) ?? [], findings)
    for (const name of unasked) silent.add(name)
    const standing = await standingOf({ db, store }, { log, shown, end: endOf(log, followed, findings) })
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
  return { ok: all.length === 0, logs, owed, unasked: [...silent].toSorted(), findings: all }
}
