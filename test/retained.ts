import { setTimeout as delay } from 'node:timers/promises'
import { sha256 } from '../src/base/digest.ts'
import {
  type CaseEventId,
  type CaseId,
  type EntryId,
  type ExhibitId,
  newId,
  type PolicyId,
  type PurgeId,
  type RecordingId,
} from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { PolicyRow, Trigger } from '../src/engines/retention-tables.ts'
import type { Person } from '../src/people/person.ts'
import { approvePolicy, type Draft, draftPolicy } from '../src/retention/policies.ts'
import { runPurge } from '../src/retention/purge.ts'
import { readPurge, startPurge } from '../src/retention/purges.ts'
import { askSimulation, readSimulation, simulate } from '../src/retention/simulations.ts'
import { triggers } from '../src/retention/words.ts'
import { someone } from './catalogued.ts'
import { runOf } from './footsteps.ts'

/** Two people of retention, a supervisor and an investigator. */
export const keepers = async (engines: Engines) => ({
  drafter: await someone(engines, ['retention']),
  approver: await someone(engines, ['retention']),
  supervisor: await someone(engines, ['supervisor']),
  investigator: await someone(engines, ['investigator']),
})
export type Keepers = Awaited<ReturnType<typeof keepers>>

/** A clock that can be set ahead, by milliseconds. */
export const movedClock = () => {
  const clock = {
    ahead: 0,
    now: () => new Date(Date.now() + clock.ahead),
    instant: () => Temporal.Instant.fromEpochMilliseconds(Date.now() + clock.ahead),
  }
  return clock
}

/** Simulates a draft, as the worker does. */
export const simulated = async (engines: Engines, person: Person, policy: PolicyId) => {
  const id = await askSimulation(engines, person, policy)
  await simulate(engines, id, runOf())
}

/** A policy that was drafted, simulated, seen by a second person and approved. */
export const inForce = async (engines: Engines, { drafter, approver }: Keepers, draft: Draft): Promise<PolicyRow> => {
  const policy = await draftPolicy(engines, drafter, draft)
  await simulated(engines, drafter, policy.id)
  await readSimulation(engines, approver, policy.id)
  return await approvePolicy(engines, approver, policy.id, undefined)
}

/** What the worker does with a purge that was started, and how it stands then. */
export const ran = async (engines: Engines, id: PurgeId) => {
  await runPurge(engines, id, runOf())
  return await readPurge(engines, id)
}

/** A purge from its start to its end. */
export const purged = async (engines: Engines, person: Person | null = null) => {
  const { state, hidden, erased, held, failed } = await ran(engines, await startPurge(engines, person))
  return { state, hidden, erased, held, failed }
}

export const statusOf = async ({ db }: Engines, id: RecordingId) =>
  (await db.selectFrom('recordings').select('status').where('id', '=', id).executeTakeFirstOrThrow()).status

/** Something in the store that was made of a recording. */
export const derived = async ({ store }: Engines, id: RecordingId, names = ['init.mp4', '00001.m4s']) => {
  for (const name of names) {
    const bytes = Buffer.from(name)
    await store.put('derived', `renditions/${id}/${newId()}/${name}`, bytes, sha256(bytes))
  }
  const clip = Buffer.from('a clip')
  await store.put('derived', `clips/${id}/${newId()}.mp4`, clip, sha256(clip))
}

/** All that the store has of a recording. */
export const stored = async ({ store }: Engines, id: RecordingId): Promise<string[]> => [
  ...(await store.versions('originals', `recordings/${id}`)),
  ...(await store.list('derived', `renditions/${id}/`)),
  ...(await store.list('derived', `clips/${id}/`)),
]

/** Waits until the store protects nothing any more: it counts whole seconds of its own. */
export const locksOver = async ({ db }: Engines): Promise<void> => {
  const { last } = await db
    .selectFrom('purgeItems')
    .select((eb) => eb.fn.max<Date | null>('lockedUntil').as('last'))
    .executeTakeFirstOrThrow()
  if (last !== null) await delay(Math.max(0, last.getTime() + 1000 - Date.now()))
}

type CaseEventKind = Exclude<Trigger, 'recorded'>
type CaseWish = { status?: 'open' | 'closed'; events?: Partial<Record<CaseEventKind, string>> }

/** A case that these recordings are exhibits of, with its events and their days. */
export const caseWith = async (
  { clock, db }: Engines,
  person: Person,
  recordings: RecordingId[],
  { status = 'closed', events = {} }: CaseWish = {},
): Promise<CaseId> => {
  const id = newId<CaseId>()
  const at = clock.now()
  const row = { id, reference: `OP/${id}`, title: 'Operation', status, openedAt: at } as const
  await db
    .insertInto('cases')
    .values({ ...row, closedAt: status === 'closed' ? at : null })
    .execute()
  for (const [index, recording] of recordings.entries()) {
    const exhibit = { id: newId<ExhibitId>(), case: id, recording, clip: null, reference: `AB/${index + 1}` }
    await db
      .insertInto('exhibits')
      .values({
        ...exhibit,
        sensitivity: 'none',
        description: 'Footage',
        addedAt: at,
        addedBy: person.id,
        movedFrom: null,
        withdrawnBecause: null,
      })
      .execute()
  }
  for (const [kind, onDate] of Object.entries(events))
    if (onDate !== undefined) await happened({ clock, db }, person, id, kind, onDate)
  return id
}

const isEventKind = (kind: string): kind is CaseEventKind =>
  triggers.some((each) => each === kind && each !== 'recorded')

/** An event of a case, on a day. */
export const happened = async (
  { clock, db }: Pick<Engines, 'clock' | 'db'>,
  person: Person,
  of: CaseId,
  kind: string,
  onDate: string,
): Promise<void> => {
  if (!isEventKind(kind)) throw new Error('there is no such event')
  const event = {
    id: newId<CaseEventId>(),
    case: of,
    kind,
    onDate,
    note: null,
    notedAt: clock.now(),
    person: person.id,
  }
  await db
    .insertInto('caseEvents')
    .values({ ...event, entry: newId<EntryId>(), withdrawnBecause: null })
    .execute()
}

export const setCase = async ({ clock, db }: Engines, id: CaseId, status: 'open' | 'closed'): Promise<void> => {
  const closedAt = status === 'closed' ? clock.now() : null
  await db.updateTable('cases').set({ status, closedAt }).where('id', '=', id).execute()
}
