import { createHash, randomBytes } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DockId, newId, type UploadId } from '../../src/base/ids.ts'
import type { UploadRow } from '../../src/engines/tables.ts'
import {
  type Append,
  appendToUpload,
  createUpload,
  terminateUpload,
  type Uploader,
  uploadOfDock,
} from '../../src/uploads/actions.ts'
import { clearUpload, completeObject } from '../../src/uploads/completion.ts'
import { type Ingest, makeIngest } from '../../src/uploads/ingest.ts'
import { type Checksum, readMetadata } from '../../src/uploads/tus.ts'
import { originalKey, stagingPrefix } from '../../src/uploads/upload.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf } from '../footsteps.ts'
import { someOf } from '../long.ts'

const mib = 1024 * 1024
const partSize = 5 * mib
let engines: TestEngines
let ingest: Ingest
let dock: Uploader

const open = async (): Promise<void> => {
  engines = await testEngines({
    env: {
      UPLOAD_PART_MIB: '5',
      INGEST_BUDGET_MIB: '32',
      UPLOAD_IDLE_SECONDS: '2',
      UPLOAD_HOLD_SECONDS: '1',
      UPLOAD_OPEN_PER_DOCK: '500',
    },
  })
  ingest = makeIngest(engines)
  dock = await enrol('dock')
}

const enrol = async (name: string): Promise<Uploader> => {
  const id = newId<DockId>()
  const publicKey = JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'none' })
  await engines.db
    .insertInto('docks')
    .values({ id, name, site: 'here', publicKey, thumbprint: name, enrolledAt: new Date() })
    .execute()
  return { id, thumbprint: name }
}

const b64 = (text: string) => Buffer.from(text).toString('base64')
const metadata = (name = 'a.mp4') =>
  readMetadata(`filename ${b64(name)},camera ${b64('CAM-1')},recordedAt ${b64('2026-11-25T22:15:00Z')}`, 8192)

const begin = async (size: number): Promise<UploadRow> => await createUpload(engines, dock, size, metadata())
const sha256Of = (bytes: Buffer): Checksum => ({
  algorithm: 'sha256',
  digest: createHash('sha256').update(bytes).digest(),
})
const sha1Of = (bytes: Buffer): Checksum => ({ algorithm: 'sha1', digest: createHash('sha1').update(bytes).digest() })

const send = async (id: UploadId, offset: number, bytes: Buffer, more: Partial<Append> = {}): Promise<number> => {
  const append = {
    offset,
    length: bytes.length,
    checksum: undefined,
    body: Readable.from([bytes], { objectMode: false }),
    ...more,
  }
  return (await appendToUpload(engines, ingest, dock, id, append)).received
}

const offsetOf = async (id: UploadId): Promise<number> => (await uploadOfDock(engines, dock, id)).received

const stored = async (upload: UploadRow): Promise<Buffer> => {
  const object = await completeObject(engines, upload.id)
  if (object === null) throw new Error('no object')
  const stream = await engines.store.read('originals', originalKey(upload.recording), { version: object.version })
  if (stream === null) throw new Error('nothing to read')
  return Buffer.concat(await stream.toArray())
}

/** A body that breaks off after some bytes, as a lost connection does. */
const cutOff = (bytes: Buffer): Readable => {
  const body = new PassThrough()
  body.write(bytes, () => setImmediate(() => body.destroy(new Error('aborted'))))
  return body
}

describe.each([
  { store: 'of which nothing is known', learnt: false },
  { store: 'that was seen to refuse wrong digests', learnt: true },
])('into a store $store', ({ learnt }) => {
  beforeAll(async () => {
    await open()
    if (learnt) expect(await engines.enforced.learn()).toMatchObject({ digests: true })
  })
  afterAll(async () => await engines[Symbol.asyncDispose]())

  test('a file sent in one request arrives equal to the byte', async () => {
    const bytes = randomBytes(12 * mib + 17)
    const upload = await begin(bytes.length)
    expect(await send(upload.id, 0, bytes, { checksum: sha256Of(bytes) })).toBe(bytes.length)
    expect((await stored(upload)).equals(bytes)).toBe(true)
  })

  test('chunks smaller than the least part of the store arrive equal to the byte, and staging is empty after', async () => {
    const bytes = randomBytes(6 * mib + 3)
    const upload = await begin(bytes.length)
    for (let at = 0; at < bytes.length; at += 700_001) {
      const chunk = bytes.subarray(at, at + 700_001)
      await send(upload.id, at, chunk, { checksum: sha1Of(chunk) })
    }
    expect((await stored(upload)).equals(bytes)).toBe(true)
    await clearUpload(engines, upload.id)
    expect(await engines.store.list('staging', stagingPrefix(upload.id))).toEqual([])
  })

  test('exactly one part under a wrong digest leaves the offset where it was, and goes in under the right one', async () => {
    const bytes = randomBytes(2 * partSize)
    const upload = await begin(bytes.length)
    const part = bytes.subarray(0, partSize)
    expect(await codeOf(send(upload.id, 0, part, { checksum: sha256Of(bytes) }))).toBe('checksum-mismatch')
    const short = { body: Readable.from([part.subarray(1)], { objectMode: false }), checksum: sha256Of(part) }
    expect(await codeOf(send(upload.id, 0, part, short))).toBe('checksum-mismatch')
    expect(await offsetOf(upload.id)).toBe(0)
    await send(upload.id, 0, part, { checksum: sha256Of(part) })
    await send(upload.id, partSize, bytes.subarray(partSize), { checksum: sha256Of(bytes.subarray(partSize)) })
    expect((await stored(upload)).equals(bytes)).toBe(true)
  })

  test('any way of cutting a file into requests, with or without digests, gives the same object', async () => {
    const step = fc.record({
      share: fc.double({ min: 0.001, max: 1, noNaN: true }),
      upToPart: fc.boolean(),
      way: fc.constantFrom('sha256', 'sha1', 'none', 'unknown-length', 'wrong', 'cut', 'cut-checked'),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 13 * mib }),
        fc.array(step, { minLength: 1, maxLength: 12 }),
        async (size, steps) => {
          const bytes = randomBytes(size)
          const upload = await begin(size)
          for (const { share, upToPart, way } of [...steps, { share: 1, upToPart: false, way: 'sha256' }]) {
            const at = await offsetOf(upload.id)
            if (at === size) break
            const end = upToPart ? (Math.floor(at / partSize) + 1) * partSize : at + Math.max(1, (size - at) * share)
            const chunk = bytes.subarray(at, Math.min(size, Math.round(end)))
            if (way === 'sha256' || way === 'sha1')
              await send(upload.id, at, chunk, { checksum: way === 'sha1' ? sha1Of(chunk) : sha256Of(chunk) })
            if (way === 'none') await send(upload.id, at, chunk)
            if (way === 'unknown-length') await send(upload.id, at, chunk, { length: undefined })
            if (way === 'wrong') {
              expect(await codeOf(send(upload.id, at, chunk, { checksum: sha256Of(randomBytes(3)) }))).toBe(
                'checksum-mismatch',
              )
              expect(await offsetOf(upload.id)).toBe(at)
            }
            if (way === 'cut')
              await expect(
                send(upload.id, at, chunk, { body: cutOff(chunk), length: Math.min(size - at, chunk.length + 1) }),
              ).rejects.toThrow()
            if (way === 'cut-checked') {
              await expect(
                send(upload.id, at, chunk, { body: cutOff(chunk), checksum: sha256Of(chunk) }),
              ).rejects.toThrow()
              expect(await offsetOf(upload.id)).toBe(at)
            }
          }
          expect(await offsetOf(upload.id)).toBe(size)
          expect((await stored(upload)).equals(bytes)).toBe(true)
        },
      ),
      { numRuns: 12 },
    )
  })

  test('what came before a cut is kept where the request carried no digest', async () => {
    const bytes = randomBytes(7 * mib)
    const upload = await begin(bytes.length)
    await expect(send(upload.id, 0, bytes, { body: cutOff(bytes.subarray(0, 6 * mib)) })).rejects.toThrow('aborted')
    expect(await offsetOf(upload.id)).toBe(6 * mib)
    await send(upload.id, 6 * mib, bytes.subarray(6 * mib))
    expect((await stored(upload)).equals(bytes)).toBe(true)
  })

  test('a body that goes beyond the declared length is refused, announced or not', async () => {
    const upload = await begin(10)
    expect(await codeOf(send(upload.id, 0, randomBytes(11)))).toBe('too-large')
    expect(await codeOf(send(upload.id, 0, randomBytes(11), { length: undefined }))).toBe('too-large')
    expect(await offsetOf(upload.id)).toBe(0)
  })

  test('the newer of two writers ends the older, and the file arrives whole', async () => {
    const bytes = randomBytes(11 * mib)
    const upload = await begin(bytes.length)
    const stalled = new PassThrough()
    stalled.write(bytes.subarray(0, mib))
    const older = codeOf(send(upload.id, 0, bytes, { body: stalled }))
    await new Promise((resolve) => stalled.once('drain', resolve))
    await send(upload.id, 0, bytes, { checksum: sha256Of(bytes) })
    expect(await older).toBe('writer-replaced')
    expect((await stored(upload)).equals(bytes)).toBe(true)
  })

  test('a newer writer in another process fences the older one out', async () => {
    const bytes = randomBytes(6 * mib)
    const upload = await begin(bytes.length)
    const slow = new PassThrough()
    slow.write(bytes.subarray(0, mib))
    const older = codeOf(send(upload.id, 0, bytes, { body: slow }))
    await new Promise((resolve) => slow.once('drain', resolve))
    const elsewhere = makeIngest(engines)
    await appendToUpload(engines, elsewhere, dock, upload.id, {
      offset: 0,
      length: bytes.length,
      checksum: undefined,
      body: Readable.from([bytes], { objectMode: false }),
    })
    slow.end(bytes.subarray(mib))
    expect(['writer-replaced', 'gone']).toContain(await older)
    expect((await stored(upload)).equals(bytes)).toBe(true)
  })

  test('a request that sends nothing for the configured time is ended, and what it sent is kept', async () => {
    const upload = await begin(100)
    const silent = new PassThrough()
    silent.write(Buffer.alloc(10, 1))
    expect(await codeOf(send(upload.id, 0, Buffer.alloc(100, 1), { body: silent }))).toBe('too-slow')
    expect(await offsetOf(upload.id)).toBe(10)
  })

  test('a suspended dock gets nothing acknowledged, not even of the request under way', async () => {
    const bytes = randomBytes(mib)
    const upload = await begin(bytes.length)
    const body = new PassThrough()
    body.write(bytes.subarray(0, 1000))
    const under = codeOf(send(upload.id, 0, bytes, { body }))
    await engines.db.updateTable('docks').set({ suspendedAt: new Date() }).where('id', '=', dock.id).execute()
    body.end(bytes.subarray(1000))
    expect(await under).toBe('suspended')
    await engines.db.updateTable('docks').set({ suspendedAt: null }).where('id', '=', dock.id).execute()
    expect(await offsetOf(upload.id)).toBe(0)
  })

  test("another dock's upload is not there", async () => {
    const upload = await begin(10)
    const other = await enrol('other')
    expect(await codeOf(uploadOfDock(engines, other, upload.id))).toBe('not-found')
    expect(
      await codeOf(
        appendToUpload(engines, ingest, other, upload.id, {
          offset: 0,
          length: 1,
          checksum: undefined,
          body: Readable.from([Buffer.alloc(1)]),
        }),
      ),
    ).toBe('not-found')
  })

  test('the last byte makes one recording, one entry and one owed job, together', async () => {
    const upload = await begin(5)
    await send(upload.id, 0, Buffer.from('bytes'))
    const recording = await engines.db
      .selectFrom('recordings')
      .selectAll()
      .where('upload', '=', upload.id)
      .executeTakeFirstOrThrow()
    expect(recording).toMatchObject({ id: upload.recording, status: 'received', size: 5 })
    const jobs = await engines.db.selectFrom('jobs').selectAll().where('name', '=', 'take-into-custody').execute()
    expect(jobs.filter((job) => JSON.stringify(job.payload).includes(upload.recording))).toHaveLength(1)
    const entries = await engines.db
      .selectFrom('entryBodies')
      .select('action')
      .where('subjectId', '=', upload.id)
      .orderBy('id')
      .execute()
    expect(entries.map((entry) => entry.action)).toEqual(['upload.created', 'upload.stored'])
  })

  test('a file of no bytes is a file', async () => {
    const upload = await begin(0)
    expect(upload.state).toBe('stored')
    expect(await stored(upload)).toHaveLength(0)
  })

  test('a terminated upload is gone, and so is what it left in the store', async () => {
    const upload = await begin(12 * mib)
    await send(upload.id, 0, randomBytes(6 * mib))
    await terminateUpload(engines, ingest, dock, upload.id)
    expect(await codeOf(uploadOfDock(engines, dock, upload.id))).toBe('gone')
    await clearUpload(engines, upload.id)
    expect(await engines.store.list('staging', stagingPrefix(upload.id))).toEqual([])
    expect(await completeObject(engines, upload.id)).toBeNull()
  })

  test('completing an object twice gives the same version', async () => {
    const upload = await begin(5)
    await send(upload.id, 0, Buffer.from('bytes'))
    expect((await completeObject(engines, upload.id))?.version).toBe(
      (await completeObject(engines, upload.id))?.version,
    )
    expect(await engines.store.versions('originals', originalKey(upload.recording))).toHaveLength(1)
  })

  test('requests that announce a body and send nothing of it hold no memory that others wait for', async () => {
    const uploads = await Promise.all(Array.from({ length: 12 }, async () => await begin(6 * mib)))
    const ends: string[] = []
    const silent = uploads.map(async ({ id }) => {
      const sent = send(id, 0, Buffer.alloc(0), { body: new PassThrough(), length: 6 * mib })
      ends.push(await codeOf(sent))
    })
    const bytes = randomBytes(12 * mib)
    const upload = await begin(bytes.length)
    await send(upload.id, 0, bytes, { checksum: sha256Of(bytes) })
    expect(ends).toEqual([])
    expect((await stored(upload)).equals(bytes)).toBe(true)
    await Promise.all(silent)
    expect(ends).toEqual(uploads.map(() => 'too-slow'))
  })

  test.each(someOf(1, ['with', 'without']))(
    'slow lines that hold all the memory, %s digests, hold up no good one, and lose nothing',
    async (digests) => {
      const slow = await Promise.all(
        Array.from({ length: 6 }, async () => {
          const bytes = randomBytes(6 * mib)
          const upload = await begin(bytes.length)
          const body = new PassThrough({ highWaterMark: 8 * mib })
          body.write(bytes.subarray(0, mib))
          const checksum = digests === 'with' ? sha256Of(bytes) : undefined
          return { bytes, upload, body, at: mib, sent: send(upload.id, 0, bytes, { body, checksum }) }
        }),
      )
      const trickle = setInterval(() => {
        for (const each of slow) each.body.write(each.bytes.subarray(each.at, ++each.at))
      }, 100)
      const bytes = randomBytes(12 * mib)
      const upload = await begin(bytes.length)
      await send(upload.id, 0, bytes, { checksum: sha256Of(bytes) })
      expect((await stored(upload)).equals(bytes)).toBe(true)
      clearInterval(trickle)
      for (const each of slow) each.body.end(each.bytes.subarray(each.at))
      expect(await Promise.all(slow.map(async ({ sent }) => await sent))).toEqual(slow.map(() => 6 * mib))
      for (const each of slow) expect((await stored(each.upload)).equals(each.bytes)).toBe(true)
    },
  )
})
