import { randomBytes } from 'node:crypto'
import { sha256 as digest, hex } from '../src/base/digest.ts'
import {
  type BundleId,
  type CaseId,
  type ClipId,
  type EntryId,
  type ExhibitId,
  type JobId,
  newId,
  type RecordingId,
} from '../src/base/ids.ts'
import { bundleKey } from '../src/bundles/bundle.ts'
import { openCase } from '../src/cases/actions.ts'
import { addExhibit } from '../src/cases/exhibits.ts'
import { putMember } from '../src/cases/members.ts'
import type { BundleState } from '../src/engines/bundle-tables.ts'
import type { MemberRole } from '../src/engines/case-tables.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { ClipState } from '../src/engines/tables.ts'
import type { Person } from '../src/people/person.ts'
import { catalogued } from './catalogued.ts'

/** A reference that no other case of the test has. */
export const aReference = (): string => `26/CR/${randomBytes(6).toString('hex')}`

/** A case that this person opened, with further members. */
export const aCase = async (
  engines: Engines,
  person: Person,
  members: [Person, MemberRole][] = [],
): Promise<CaseId> => {
  const { id } = await openCase(engines, person, { reference: aReference(), title: 'Robbery at Station Road' })
  for (const [member, role] of members) await putMember(engines, person, id, member.id, role)
  return id
}

/** A recording in custody that this person put into the case. */
export const anExhibit = async (
  engines: Engines,
  person: Person,
  caseId: CaseId,
  reference: string,
  recordingId?: RecordingId,
): Promise<ExhibitId> => {
  const recording = recordingId ?? (await catalogued(engines))
  const words = { reference, sensitivity: 'none', description: 'The stop, from the left' } as const
  return (await addExhibit(engines, person, caseId, { recordingId: recording, ...words })).id
}

/** The row of a clip of this recording, in this state; its file is not in the store. */
export const aClipRow = async (
  { db, clock }: Engines,
  person: Person,
  recording: RecordingId,
  state: ClipState,
): Promise<ClipId> => {
  const id = newId<ClipId>()
  const job = newId<JobId>()
  const at = clock.now()
  await db
    .insertInto('jobs')
    .values({
      id: job,
      name: 'cut-clip',
      payload: '{}',
      state: 'done',
      cause: null,
      dueAt: at,
      createdAt: at,
      said: null,
    })
    .execute()
  const sha256 = hex(digest(id))
  const provenance = JSON.stringify({ v: 1, asked: { start: 1, end: 2 }, checks: ['it decodes'] })
  const made = { attempt: 1, sha256, size: 10, duration: 1, frames: 25, method: 'encoded', provenance } as const
  await db
    .insertInto('clips')
    .values({
      id,
      recording,
      person: person.id,
      title: 'The stop',
      starts: 1,
      ends: 2,
      state,
      failure: null,
      entry: newId<EntryId>(),
      job,
      askedAt: at,
      ...(state === 'ready'
        ? made
        : { attempt: null, sha256: null, size: null, duration: null, frames: null, method: null }),
    })
    .execute()
  return id
}

/** A bundle in this state, as its job leaves it, of one exhibit of this recording, in a case of its own. */
export const aBundleOf = async (
  engines: Engines,
  [investigator, disclosure]: [Person, Person],
  recording: RecordingId,
  state: BundleState,
  bytes: Buffer,
): Promise<BundleId> => {
  const { clock, db, store } = engines
  const caseId = await aCase(engines, investigator, [[disclosure, 'disclosure']])
  const exhibit = await anExhibit(engines, investigator, caseId, 'AB/1', recording)
  const [id, job] = [newId<BundleId>(), newId<JobId>()]
  const at = clock.now()
  const times = { dueAt: at, createdAt: at }
  const owed = { id: job, name: 'make-bundle', payload: '{}', state: 'done', cause: null, said: null } as const
  await db
    .insertInto('jobs')
    .values({ ...owed, ...times })
    .execute()
  const made = state === 'ready' ? { size: bytes.length, sha256: hex(digest(bytes)) } : { size: null, sha256: null }
  const asked = { schedule: 1, person: disclosure.id, recipient: 'CPS London', purpose: 'Disclosure' }
  const row = { id, case: caseId, ...asked, includeOriginals: true, state, failure: null, job, askedAt: at }
  await db
    .insertInto('bundles')
    .values({ ...row, ...made, entry: newId<EntryId>() })
    .execute()
  const item = { bundle: id, exhibit, number: 1, reference: 'AB/1', description: 'The stop', recording, clip: null }
  await db.insertInto('bundleExhibits').values(item).execute()
  await store.put('derived', bundleKey(id), bytes, digest(bytes))
  return id
}
