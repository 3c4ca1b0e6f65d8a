import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  type CameraSerial,
  type DockId,
  type JobId,
  newId,
  type PersonId,
  type RecordingId,
  type Sha256,
  type UploadId,
} from '../src/base/ids.ts'
import { Problem } from '../src/base/problem.ts'
import { takeIntoCustody } from '../src/custody/take.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { Outcome, Run } from '../src/jobs/catalogue.ts'
import type { Person } from '../src/people/person.ts'
import type { Role } from '../src/people/role.ts'
import { appendToUpload, createUpload, type Uploader } from '../src/uploads/actions.ts'
import { makeIngest } from '../src/uploads/ingest.ts'

/** The steps of footage through the house, as the doors take them, for tests that need no HTTP. */

export const digestOf = (bytes: Buffer): Sha256 => createHash('sha256').update(bytes).digest('hex') as Sha256

export const aDock = async (engines: Engines, name = `dock-${randomBytes(4).toString('hex')}`): Promise<Uploader> => {
  const id = newId<DockId>()
  const publicKey = JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'none' })
  await engines.db
    .insertInto('docks')
    .values({ id, name, site: 'here', publicKey, thumbprint: name, enrolledAt: engines.clock.now() })
    .execute()
  return { id, thumbprint: name }
}

export const aPerson = async (engines: Engines, ...roles: Role[]): Promise<Person> => {
  const id = newId<PersonId>()
  await engines.db
    .insertInto('people')
    .values({
      id,
      issuer: 'test',
      subject: id,
      name: 'Somebody',
      collar: null,
      roles,
      firstSeenAt: engines.clock.now(),
    })
    .execute()
  return { id, name: 'Somebody', roles }
}

export type Sent = { upload: UploadId; recording: RecordingId; sha256: Sha256 }
type Wish = {
  camera?: string
  name?: string
  declared?: string | null
  number?: number
  recordedAt?: Date
  upTo?: number
}

/** Uploads a file whole (or `upTo` some byte) in one request. `declared` is the digest the dock claims; null claims none. */
export const sendFile = async (engines: Engines, dock: Uploader, bytes: Buffer, wish: Wish = {}): Promise<Sent> => {
  const {
    camera = 'CAM-1',
    name = 'BWC_0001.MP4',
    number,
    recordedAt = new Date('2026-11-20T08:00:00Z'),
    upTo = bytes.length,
  } = wish
  const sha256 = digestOf(bytes)
  const declared = wish.declared === undefined ? sha256 : (wish.declared as Sha256 | null)
  const upload = await createUpload(engines, dock, bytes.length, {
    filename: name,
    camera: camera as CameraSerial,
    recordedAt,
    sha256: declared,
    category: null,
    incident: null,
    number: number ?? null,
    sequence: null,
    all: {
      filename: name,
      camera,
      recordedAt: recordedAt.toISOString(),
      ...(number === undefined ? {} : { number: String(number) }),
    },
  })
  const body = Readable.from(upTo === 0 ? [] : [bytes.subarray(0, upTo)], { objectMode: false })
  if (bytes.length > 0)
    await appendToUpload(engines, makeIngest(engines), dock, upload.id, {
      offset: 0,
      length: upTo,
      checksum: undefined,
      body,
    })
  return { upload: upload.id, recording: upload.recording, sha256 }
}

/** A job's run for a test that calls an action without the queue. */
export const runOf = (over: Partial<Run> = {}): Run => ({
  jobId: newId<JobId>(),
  attempt: 1,
  cause: null,
  signal: new AbortController().signal,
  progress: () => undefined,
  fence: async () => undefined,
  ...over,
})

/** What the worker does with the job, without the queue. */
export const take = async (engines: Engines, recording: RecordingId, over: Partial<Run> = {}): Promise<Outcome> => {
  await using folder = await engines.scratch(recording)
  return await takeIntoCustody(engines, recording, runOf(over), folder)
}

/** The code of the problem that the work ends with, or `accepted`. */
export const codeOf = async (work: Promise<unknown>): Promise<string> => (await problemOf(work))?.code ?? 'accepted'

/** The problem that something ended in, if it did. */
export const problemOf = async (work: Promise<unknown>): Promise<Problem | undefined> => {
  try {
    await work
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
  return undefined
}

export const actionsOn = async (engines: Engines, subject: string): Promise<(string | null)[]> =>
  (
    await engines.db.selectFrom('entryBodies').select('action').where('subjectId', '=', subject).orderBy('id').execute()
  ).map((row) => row.action)
