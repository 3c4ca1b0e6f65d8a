import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, newId, type PolicyId, type SimulationId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { PolicyRow, SimulationCounts } from '../engines/retention-tables.ts'
import type { Outcome, Run } from '../jobs/catalogue.ts'
import { owe } from '../jobs/outbox.ts'
import { record } from '../ledger/record.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { dateOf, type When } from './date.ts'
import { dayOf, instantOf } from './period.ts'
import { policyInEntry, whyFailed } from './policies.ts'
import {
  clearItems,
  insertItems,
  insertSimulation,
  itemsPage,
  newestSimulation,
  noteSight,
  policyById,
  setSimulation,
  simulationById,
} from './policy-queries.ts'
import { type After, ofCategoryPage, type Subject } from './queries.ts'

type Job = Pick<Run, 'jobId' | 'cause' | 'signal' | 'progress' | 'fence'>

const pageSize = 500

const noCounts = (): SimulationCounts => ({
  due: { count: 0, bytes: 0 },
  sooner: { count: 0, bytes: 0 },
  later: { count: 0, bytes: 0 },
  atOnce: { count: 0, bytes: 0 },
  held: { count: 0, bytes: 0 },
})

/** Owes a simulation of a draft over the whole catalogue. Throws `not-found`, `conflict` for what is no draft any more. */
export const askSimulation = async (engines: Engines, person: Person, policyId: PolicyId): Promise<SimulationId> => {
  const { clock, db } = engines
  return await inTransaction(db, async (tx) => {
    const policy = await policyById(tx, policyId)
    if (policy === undefined) throw new Problem('not-found')
    if (policy.state !== 'draft')
      throw new Problem('conflict', `The policy is ${policy.state}: only a draft is simulated.`)
    const id = newId<SimulationId>()
    const simulation = { id, policy: policyId, state: 'owed', counts: JSON.stringify(noCounts()) } as const
    const cause = await record(tx, clock, {
      operation: 'administration',
      action: 'policy.simulation-asked',
      subject: { type: 'policy', id: policyId },
      actor: actor(person, 'policy.simulate'),
      policy: policyInEntry(policy),
      detail: { simulation: id },
    })
    const job = await owe(tx, clock, 'simulate-policy', { simulationId: id }, { cause })
    await insertSimulation(tx, { ...simulation, job, askedBy: person.id, askedAt: clock.now() })
    return id
  })
}

/** Today's date of a recording, the draft's, and the draft's were it not for holds and open cases. */
type Change = { today: When; drafted: When; otherwise: When }

const millis = (when: When): number => (when === 'keep' ? Number.POSITIVE_INFINITY : when.epochMilliseconds)

/** What the draft would change of one recording's date. Never (keep) is later than any date. */
const changeOf = (subject: Subject, draft: PolicyRow, zone: string): Change => {
  const { when: drafted, otherwise } = dateOf({ ...subject.facts, policy: draft }, zone)
  return { today: dateOf(subject.facts, zone).when, drafted, otherwise }
}

const count = (into: { count: number; bytes: number }, size: number): void => {
  into.count += 1
  into.bytes += size
}

/** Adds one recording to the counts; `at` is now, in milliseconds. */
const tally = (counts: SimulationCounts, { today, drafted, otherwise }: Change, size: number, at: number): void => {
  if (drafted === 'keep' && otherwise !== 'keep') count(counts.held, size)
  if (drafted !== 'keep') count(counts.due, size)
  if (millis(drafted) < millis(today)) count(counts.sooner, size)
  if (millis(drafted) > millis(today)) count(counts.later, size)
  if (millis(drafted) <= at && millis(today) > at) count(counts.atOnce, size)
}

const dateIn = (when: When): Date | null => (when === 'keep' ? null : new Date(when.epochMilliseconds))

/** Works a simulation out, page by page. An attempt begins anew; a page counts only while the attempt holds the job. */
export const simulate = async (engines: Engines, id: SimulationId, run: Job): Promise<Outcome> => {
  const { clock, config, db } = engines
  const zone = config.RETENTION_TIME_ZONE
  const simulation = await simulationById(db, id)
  const draft = simulation === undefined ? undefined : await policyById(db, simulation.policy)
  if (simulation === undefined || draft === undefined)
    return { outcome: 'skipped', because: 'there is no such simulation' }
  if (simulation.state === 'ready') return { outcome: 'skipped', because: 'it is ready' }
  const counts = noCounts()
  const at = clock.now().getTime()
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await clearItems(tx, draft.id, id)
    await setSimulation(tx, id, 'working', counts)
  })
  let looked = 0
  for (let after: After | undefined; ; ) {
    run.signal.throwIfAborted()
    const page = await ofCategoryPage(db, draft.category, after, pageSize)
    const items = page.flatMap((subject) => {
      const change = changeOf(subject, draft, zone)
      tally(counts, change, subject.size, at)
      if (millis(change.today) === millis(change.drafted)) return []
      const { id: recording, size } = subject
      return [{ simulation: id, recording, size, oldAt: dateIn(change.today), newAt: dateIn(change.drafted) }]
    })
    looked += page.length
    const last = page.at(-1)
    await inTransaction(db, async (tx) => {
      await run.fence(tx)
      await insertItems(tx, items)
      if (page.length === pageSize) return
      await setSimulation(tx, id, 'ready', counts, clock.now())
      await record(tx, clock, {
        operation: 'administration',
        action: 'policy.simulated',
        subject: { type: 'policy', id: draft.id },
        actor: serviceOf('simulate-policy', run),
        detail: { simulation: id, looked, counts },
      })
    })
    run.progress(0.5)
    if (last === undefined || page.length < pageSize) return { outcome: 'done', said: `looked at ${looked} recordings` }
    after = last
  }
}

/** How entries name a job of retention's. */
export const serviceOf = (id: string, { jobId, cause }: Pick<Run, 'jobId' | 'cause'>) => ({
  kind: 'service' as const,
  id,
  job: jobId,
  ...(cause === null ? {} : { cause }),
})

/** What the newest simulation of a policy found. Who reads it when it is ready has seen it. Throws `not-found`. */
export const readSimulation = async (engines: Engines, person: Person, policyId: PolicyId) => {
  const { clock, db } = engines
  return await inTransaction(db, async (tx) => {
    const simulation = await newestSimulation(tx, policyId)
    if (simulation === undefined) throw new Problem('not-found', 'Nobody has simulated this policy.')
    const { id, counts, askedAt, endedAt } = simulation
    const failure = whyFailed(simulation)
    const state = failure === null ? simulation.state : ('failed' as const)
    if (state === 'ready') await noteSight(tx, id, person.id, clock.now())
    await record(tx, clock, {
      operation: 'consultation',
      action: 'policy.simulation-read',
      subject: { type: 'policy', id: policyId },
      actor: actor(person, 'policy.simulate'),
      detail: { simulation: id, state },
    })
    return { id, state, failure, ...counts, askedAt: iso(askedAt), endedAt: endedAt === null ? null : iso(endedAt) }
  })
}

/** The recordings whose date the draft would change. Throws `not-found`, `not-ready`, `conflict`, `bad-request`. */
export const listAffected = async (
  engines: Engines,
  person: Person,
  policyId: PolicyId,
  limit: number,
  cursor: string | undefined,
) => {
  const { clock, config, db } = engines
  const [after] = cursor === undefined ? [] : decodeCursor(cursor)
  if (after !== undefined && !Value.Check(IdOf.recording, after)) throw cursorProblem()
  return await inTransaction(db, async (tx) => {
    const simulation = await newestSimulation(tx, policyId)
    if (simulation === undefined) throw new Problem('not-found', 'Nobody has simulated this policy.')
    const failure = whyFailed(simulation)
    if (failure !== null) throw new Problem('conflict', failure)
    if (simulation.state !== 'ready') throw new Problem('not-ready', undefined, { retryAfter: 2 })
    const day = (at: Date | null) => (at === null ? null : dayOf(instantOf(at), config.RETENTION_TIME_ZONE))
    const page = cutPage(
      await itemsPage(tx, simulation.id, after, limit + 1),
      limit,
      ({ recording, size, oldAt, newAt }) => ({
        recordingId: recording,
        size,
        oldDate: day(oldAt),
        newDate: day(newAt),
      }),
      ({ recording }) => [recording],
    )
    await record(tx, clock, {
      operation: 'consultation',
      action: 'policy.simulation-read',
      subject: { type: 'policy', id: policyId },
      actor: actor(person, 'policy.simulate'),
      detail: { simulation: simulation.id, listed: page.items.map(({ recordingId }) => recordingId) },
    })
    return page
  })
}
