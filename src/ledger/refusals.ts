import type { Json } from '../base/canonical.ts'
import type { EntryId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { Act, Operation, Outcome, Subject } from './entry.ts'
import { record } from './record.ts'

const windowSeconds = 60

type Refused = Omit<Act, 'outcome'>

const keyOf = (act: Refused) => ({
  actor: `${act.actor.kind}:${act.actor.id}`,
  action: act.action,
  subject: `${act.subject.type}:${act.subject.id}`,
})

/**
 * Records that a known actor was refused. The first of a minute, by actor, action and subject, is an entry at once; the
 * rest are counted and become one entry when the minute is over (`closeRefusals`).
 */
export const recordRefusal = async (engines: Engines, act: Refused): Promise<void> => {
  const { db, clock } = engines
  const key = keyOf(act)
  await inTransaction(db, async (tx) => {
    const running = await tx
      .selectFrom('refusals')
      .select('since')
      .where('actor', '=', key.actor)
      .where('action', '=', key.action)
      .where('subject', '=', key.subject)
      .forUpdate()
      .executeTakeFirst()
    const now = clock.now()
    if (running !== undefined && now.getTime() - running.since.getTime() < windowSeconds * 1000) {
      await tx
        .updateTable('refusals')
        .set((eb) => ({ repeats: eb('repeats', '+', 1) }))
        .where('actor', '=', key.actor)
        .where('action', '=', key.action)
        .where('subject', '=', key.subject)
        .execute()
      return
    }
    if (running !== undefined) await closeOne(tx, engines, key)
    const firstEntry = await record(tx, clock, { ...act, outcome: 'denied' })
    const facts = {
      operation: act.operation,
      actor: act.actor,
      subject: act.subject,
      outcome: 'denied' satisfies Outcome,
    }
    const begun = await tx
      .insertInto('refusals')
      .values({ ...key, since: now, firstEntry, facts: JSON.stringify(facts) })
      .onConflict((oc) =>
        oc.columns(['actor', 'action', 'subject']).doUpdateSet((eb) => ({ repeats: eb('refusals.repeats', '+', 1) })),
      )
      .returning('firstEntry')
      .executeTakeFirstOrThrow()
    if (begun.firstEntry !== firstEntry) throw new RefusalRace()
  }).catch(async (error: unknown) => {
    // Two first refusals at one moment: the other's is the entry, this one counts.
    if (error instanceof RefusalRace) await recordRefusal(engines, act)
    else throw error
  })
}

class RefusalRace extends Error {}

type RefusalFacts = { operation: Operation; actor: Act['actor']; subject: Subject }

const closeOne = async (tx: Tx, engines: Engines, key: ReturnType<typeof keyOf>): Promise<void> => {
  const row = await tx
    .deleteFrom('refusals')
    .where('actor', '=', key.actor)
    .where('action', '=', key.action)
    .where('subject', '=', key.subject)
    .returningAll()
    .executeTakeFirst()
  if (row === undefined || row.repeats === 0) return
  const facts = row.facts as RefusalFacts
  const detail: Json = { repeats: row.repeats, first: row.firstEntry satisfies EntryId, since: row.since.toISOString() }
  await record(tx, engines.clock, { ...facts, action: key.action, outcome: 'denied', detail })
}

/** Writes the counts of the minutes that are over. Called by the worker's sweep. Answers how many were closed. */
export const closeRefusals = async (engines: Engines): Promise<number> => {
  const over = new Date(engines.clock.now().getTime() - windowSeconds * 1000)
  return await inTransaction(engines.db, async (tx) => {
    const rows = await tx
      .selectFrom('refusals')
      .select(['actor', 'action', 'subject'])
      .where('since', '<=', over)
      .orderBy('since')
      .limit(500)
      .forUpdate()
      .skipLocked()
      .execute()
    for (const key of rows) await closeOne(tx, engines, key)
    return rows.length
  })
}
