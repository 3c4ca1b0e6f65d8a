import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Problem } from '../../src/base/problem.ts'
import { appendToUpload, type Uploader } from '../../src/uploads/actions.ts'
import { makeIngest } from '../../src/uploads/ingest.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { expireUploads, keepUpload } from '../../src/uploads/worklist.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, digestOf, sendFile, take } from '../footsteps.ts'

const mib = 1024 * 1024
const clock = {
  ahead: 0,
  now: () => new Date(Date.now() + clock.ahead),
  instant: () => Temporal.Instant.fromEpochMilliseconds(Date.now() + clock.ahead),
}
let engines: TestEngines
let dock: Uploader
beforeAll(async () => {
  engines = await testEngines({ clock, env: { UPLOAD_PART_MIB: '5' } })
  dock = await aDock(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())

/** Acknowledges `upTo` bytes of a file; then a request under a digest fails at its very end, its parts being stored by then. */
const cutOff = async (upTo: number) => {
  const bytes = randomBytes(27 * mib)
  const sent = await sendFile(engines, dock, bytes, { upTo })
  const refused = appendToUpload(engines, makeIngest(engines), dock, sent.upload, {
    offset: upTo,
    length: bytes.length - upTo,
    checksum: { algorithm: 'sha256', digest: randomBytes(32) },
    body: Readable.from([bytes.subarray(upTo)], { objectMode: false }),
  })
  expect(await refused.catch((error: unknown) => error instanceof Problem && error.code)).toBe('checksum-mismatch')
  clock.ahead = 169 * 3_600_000
  expect(await expireUploads(engines)).toBe(1)
  clock.ahead = 0
  return { ...sent, bytes }
}

test.for([
  { what: 'whole parts', upTo: 10 * mib },
  { what: 'whole parts and a piece', upTo: 11 * mib + 5 },
  { what: 'a piece', upTo: 3 * mib },
])('of an upload cut off after $what, what is kept ends with the last acknowledged byte', async ({ upTo }) => {
  const { upload, recording, bytes } = await cutOff(upTo)
  await keepUpload(engines, { kind: 'person', id: 'supervisor' }, upload, 'the camera was destroyed')
  await take(engines, recording)
  const row = await engines.db
    .selectFrom('recordings')
    .selectAll()
    .where('id', '=', recording)
    .executeTakeFirstOrThrow()
  expect(row).toMatchObject({ status: 'active', size: upTo, sha256: digestOf(bytes.subarray(0, upTo)) })
  expect(row.flags).toContain('truncated')
  expect(await engines.store.versions('originals', originalKey(recording))).toEqual([row.objectVersion])
})
