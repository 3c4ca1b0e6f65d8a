import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { hex, sha256 } from '../src/base/digest.ts'
import {
  type CameraSerial,
  type Collar,
  type DockId,
  newId,
  type PersonId,
  type RecordingId,
  type UploadId,
} from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { NewRecording } from '../src/engines/tables.ts'
import type { Person } from '../src/people/person.ts'
import type { Role } from '../src/people/role.ts'
import { originalKey } from '../src/uploads/upload.ts'

/** Someone with these roles who has signed in. */
export const someone = async ({ db, clock }: Engines, roles: Role[], collar?: string): Promise<Person> => {
  const person: Person = {
    id: newId<PersonId>(),
    name: roles.join(' '),
    roles,
    ...(collar === undefined ? {} : { collar: collar as Collar }),
  }
  const { id, name } = person
  const row = { id, name, roles, issuer: 'test', subject: id, collar: person.collar ?? null, firstSeenAt: clock.now() }
  await db.insertInto('people').values(row).execute()
  return person
}

const dockOf = async ({ db, clock }: Engines): Promise<DockId> => {
  const known = await db.selectFrom('docks').select('id').executeTakeFirst()
  if (known !== undefined) return known.id
  const id = newId<DockId>()
  const publicKey = JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'none' })
  const row = { id, name: 'dock', site: 'here', publicKey, thumbprint: 'none', enrolledAt: clock.now() }
  await db.insertInto('docks').values(row).execute()
  return id
}

const knowCamera = async ({ db, clock }: Engines, serial: CameraSerial): Promise<void> => {
  const row = { serial, model: null, confirmed: true, firstSeenAt: clock.now() }
  await db
    .insertInto('cameras')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

type Wanted = Partial<Omit<NewRecording, 'upload' | 'dock' | 'camera'>> & { camera?: string }

/** A recording in the catalogue, active unless it is to be otherwise. Its object is whatever `objectVersion` says. */
export const catalogued = async (engines: Engines, wanted: Wanted = {}): Promise<RecordingId> => {
  const { db } = engines
  const { camera: serial = 'BWC-1', ...facts } = wanted
  const camera = serial as CameraSerial
  await knowCamera(engines, camera)
  const dock = await dockOf(engines)
  const { id = newId<RecordingId>() } = facts
  const upload = newId<UploadId>()
  const at = facts.recordedAt ?? new Date('2026-11-25T22:15:00Z')
  const row: NewRecording = {
    id,
    upload,
    dock,
    camera,
    filename: 'BWC_0001.MP4',
    size: 10,
    sha256: hex(sha256(randomBytes(8))),
    recordedAt: at,
    clockOffset: null,
    correctedAt: at,
    receivedAt: new Date('2026-11-26T06:00:00Z'),
    status: 'active',
    quarantinedBecause: null,
    duplicateOf: null,
    category: null,
    incident: null,
    number: null,
    sequence: null,
    duration: null,
    mediaType: null,
    objectVersion: 'none',
    ...facts,
  }
  await db
    .insertInto('uploads')
    .values({
      id: upload,
      dock,
      recording: id,
      camera,
      filename: row.filename,
      size: row.size,
      sha256: null,
      recordedAt: at,
      metadata: '{}',
      partSize: 1,
      state: 'verified',
      multipart: null,
      createdAt: at,
      expiresAt: at,
    })
    .execute()
  await db.insertInto('recordings').values(row).execute()
  return id
}

/** A recording whose original is really in the store; the catalogue may be told another size. */
export const kept = async (engines: Engines, bytes: Buffer, wanted: Wanted = {}): Promise<RecordingId> => {
  const id = newId<RecordingId>()
  await engines.store.put('originals', originalKey(id), bytes, sha256(bytes))
  const facts = await engines.store.facts('originals', originalKey(id))
  if (facts?.version === undefined) throw new Error('the store keeps no versions')
  const original = { id, sha256: hex(sha256(bytes)), objectVersion: facts.version }
  return await catalogued(engines, { size: bytes.length, ...wanted, ...original })
}

/** Assigns a camera that is known to an officer, from `from` to `to`. */
export const assign = async (
  { db, clock }: Engines,
  serial: string,
  collar: string,
  from: string,
  to: string | null,
): Promise<void> => {
  const [camera, officer] = [serial as CameraSerial, collar as Collar]
  await db
    .insertInto('officers')
    .values({ collar: officer, person: null, firstSeenAt: clock.now() })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const during = sql<string>`tstzrange(${from}::timestamptz, ${to}::timestamptz)`
  await db.insertInto('assignments').values({ camera, officer, during }).execute()
}

/** What the ledger says of a subject, oldest first: the entry, and the values of its parts. */
export const entriesAbout = async ({ db }: Engines, subject: string) => {
  const rows = await db
    .selectFrom('entryBodies')
    .select(['entry', 'parts'])
    .where('subjectId', '=', subject)
    .orderBy('id')
    .execute()
  return rows.map(({ entry, parts }) => {
    const { operation, action, outcome } = JSON.parse(entry ?? '{}')
    const values = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.value]))
    return { operation, action, outcome, ...values }
  })
}
