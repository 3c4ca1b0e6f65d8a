import { randomBytes } from 'node:crypto'
import { closeSync, openSync, statSync } from 'node:fs'
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type JobId, newId, type PersonId, type RecordingId } from '../src/base/ids.ts'
import { takeIntoCustody } from '../src/custody/take.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { RenditionKind, RenditionRow } from '../src/engines/tables.ts'
import type { Run } from '../src/jobs/catalogue.ts'
import type { Person } from '../src/people/person.ts'
import type { Role } from '../src/people/role.ts'
import { uploadById } from '../src/uploads/queries.ts'
import type { BenchDock, Installation } from './installation.ts'
import { uploadIn } from './original.ts'
import { createUpload, sendFile } from './tus-client.ts'

const patienceMs = 300_000

/** Sends a file whole, as one of a new camera. Answers the recording's id once the last byte is acknowledged. */
export const sendWhole = async (
  { engines, url }: Installation,
  bench: BenchDock,
  path: string,
): Promise<RecordingId> => {
  const agent = new Agent({ keepAlive: true })
  const file = openSync(path, 'r')
  const { size } = statSync(path)
  try {
    const dock = { endpoint: `${url}/api/v1/uploads`, agent, token: await bench.token(), chunk: 32 * 1024 * 1024 }
    const address = await createUpload(dock, `BENCH-${randomBytes(4).toString('hex')}`, size)
    await sendFile(dock, address, { file, start: 0, size })
    const upload = await uploadById(engines.db, uploadIn(address.href))
    if (upload === undefined) throw new Error('no upload')
    return upload.recording
  } finally {
    closeSync(file)
    agent.destroy()
  }
}

/** Waits until a rendition of this kind is there in one of the states. Throws when it failed, or after five minutes. */
export const untilRendition = async (
  { engines }: Installation,
  recording: RecordingId,
  kind: RenditionKind,
  ...states: RenditionRow['state'][]
): Promise<void> => {
  for (const limit = Date.now() + patienceMs; ; await delay(20)) {
    const rendition = await engines.db
      .selectFrom('renditions')
      .select(['state', 'failure'])
      .where('recording', '=', recording)
      .where('kind', '=', kind)
      .executeTakeFirst()
    if (rendition !== undefined && states.includes(rendition.state)) return
    if (rendition?.state === 'failed' || Date.now() > limit)
      throw new Error(`the rendition ${kind} did not come: ${rendition?.failure ?? rendition?.state ?? 'nothing'}`)
  }
}

/** Waits until no job is owed or under way. */
export const untilIdle = async ({ engines }: Installation): Promise<void> => {
  for (const limit = Date.now() + patienceMs; ; await delay(100)) {
    const job = await engines.db
      .selectFrom('jobs')
      .select('name')
      .where('state', 'in', ['owed', 'working'])
      .executeTakeFirst()
    if (job === undefined) return
    if (Date.now() > limit) throw new Error(`the job ${job.name} did not end`)
  }
}

/** What the worker gives a job, without a queue around it. */
export const runOf = (): Run => ({
  jobId: newId<JobId>(),
  attempt: 1,
  cause: null,
  signal: new AbortController().signal,
  progress: () => undefined,
  fence: async () => undefined,
})

/** Somebody who has signed in with this role. */
export const someone = async ({ clock, db }: Engines, role: Role): Promise<Person> => {
  const person: Person = { id: newId<PersonId>(), name: 'Bench', roles: [role] }
  const row = { id: person.id, issuer: 'bench', subject: person.id, name: person.name, collar: null, roles: [role] }
  await db
    .insertInto('people')
    .values({ ...row, firstSeenAt: clock.now() })
    .execute()
  return person
}

/** Sends a file in and takes it into custody, without making anything to be watched of it. */
export const takeIn = async (installation: Installation, dock: BenchDock, file: string): Promise<RecordingId> => {
  const { engines } = installation
  const recording = await sendWhole(installation, dock, file)
  await using folder = await engines.scratch(recording)
  await takeIntoCustody(engines, recording, runOf(), folder)
  return recording
}
