import { sha256 } from '../base/digest.ts'
import type { UploadId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { ObjectFacts, StoredPart } from '../engines/store.ts'
import type { UploadRow } from '../engines/tables.ts'
import { addParts, beginCompleting, dropPieces, dropTails, partsOf, tailsOf, uploadById } from './queries.ts'
import type { Part } from './receive.ts'
import { readTails } from './tails.ts'
import { originalKey, partAt, stagingPrefix } from './upload.ts'

/** The original as it lies in its final place. */
export type Completed = { version: string; parts: Part[] }

/**
 * Makes the object of an upload whose bytes are all stored. Repeatable: a second call finds the object of the first.
 * Null when the store no longer has what it acknowledged.
 */
export const completeObject = async (engines: Engines, id: UploadId): Promise<Completed | null> => {
  const { db, store } = engines
  const upload = await uploadById(db, id)
  if (upload === undefined) throw new Error('there is no such upload')
  await beginCompleting(db, id)
  const key = originalKey(upload.recording)
  const there = await store.facts('originals', key)
  if (there === null) await makeObject(engines, upload)
  // Asked again whatever came of that: an earlier attempt, or a call whose answer was lost, may have made it meanwhile.
  const found = there ?? (await store.facts('originals', key))
  const made = found !== null && upload.kept ? await cutShort(engines, upload, found) : found
  if (made === null) return null
  return { version: made.version ?? 'null', parts: await partsOf(db, id) }
}

const makeObject = async (engines: Engines, upload: UploadRow): Promise<void> => {
  const { db, store } = engines
  const key = originalKey(upload.recording)
  if (upload.received === 0) {
    await store.put('originals', key, Buffer.alloc(0), sha256())
    return
  }
  // Asked first, since a store may answer the completion of one it lost as if it were only busy.
  if (upload.multipart === null || !(await store.knowsMultipart('originals', key, upload.multipart))) return
  if (upload.kept) await gatherTails(engines, upload, upload.multipart)
  const parts = await partsOf(db, upload.id)
  if (parts.length === 0) return
  await store.completeMultipart('originals', key, upload.multipart, parts)
  if (upload.kept && (await store.facts('originals', key)) === null)
    await completeWithAll(engines, upload, upload.multipart, parts)
}

/**
 * Some stores (Ceph) do not complete an object without each part they hold. An upload cut off for good may have left parts
 * there that were never acknowledged: they come in at first, and `cutShort` takes them off again.
 */
const completeWithAll = async (
  { store }: Engines,
  upload: UploadRow,
  multipart: string,
  parts: Part[],
): Promise<void> => {
  const key = originalKey(upload.recording)
  const last = parts.at(-1)?.number ?? 0
  const more = (await store.partsHeld('originals', key, multipart)).filter(({ number }) => number > last)
  if (more.length > 0) await store.completeMultipart('originals', key, multipart, [...parts, ...more])
}

/** An object that goes on beyond what was acknowledged is replaced, inside the store, by one that ends there. */
const cutShort = async ({ db, store }: Engines, upload: UploadRow, made: ObjectFacts): Promise<ObjectFacts | null> => {
  if (made.size <= upload.received || made.version === undefined) return made
  const key = originalKey(upload.recording)
  const multipart = await store.startMultipart('originals', key, 'application/octet-stream')
  const copied: StoredPart[] = []
  let first = 0
  for (const { number, size } of await partsOf(db, upload.id)) {
    const part = { number, version: made.version, first, last: first + size - 1 }
    copied.push({ number, etag: await store.copyPart('originals', key, multipart, part) })
    first += size
  }
  await store.completeMultipart('originals', key, multipart, copied)
  await store.delete('originals', key, made.version)
  return await store.facts('originals', key)
}

/** What was kept of an upload cut off for good ends with pieces too short for a part of their own: they become the last part. */
const gatherTails = async ({ db, store }: Engines, upload: UploadRow, multipart: string): Promise<void> => {
  const tails = await tailsOf(db, upload.id)
  const [first] = tails
  if (first === undefined) return
  const kept = Buffer.alloc(upload.received - first.start)
  await readTails(store, tails, kept)
  const key = originalKey(upload.recording)
  const { number, start, end } = partAt(first.start, upload.partSize, upload.size)
  // Where parts that nobody acknowledged follow it must be as long as any other; what fills it up is cut off again.
  const isLast = (await store.partsHeld('originals', key, multipart)).every((part) => part.number <= number)
  const body = isLast ? kept : Buffer.concat([kept], end - start)
  const etag = await store.putPart('originals', key, multipart, { number, body, sha256: sha256(body) })
  await inTransaction(db, async (tx) => {
    await dropTails(tx, upload.id, tails)
    await addParts(tx, upload.id, [{ number, size: kept.length, sha256: sha256(kept), etag }])
  })
}

/** Deletes from the store what an ended upload left there, and forgets its pieces. Repeatable. */
export const clearUpload = async (engines: Engines, id: UploadId): Promise<void> => {
  const { db, store } = engines
  const upload = await uploadById(db, id)
  if (upload === undefined) return
  if (upload.state !== 'ended') return await clearStaging(engines, id)
  // A store may list late what it was asked to begin, so the one that is known is ended whether it is listed or not.
  if (upload.multipart !== null)
    await store.abortMultipart('originals', originalKey(upload.recording), upload.multipart)
  await clearPieces(engines, upload)
  await inTransaction(db, async (tx) => await dropPieces(tx, id))
}

/** Deletes whatever an upload left in the store beside its object: pieces in staging, and multipart uploads that a crash left unknown. */
export const clearPieces = async (
  engines: Engines,
  { id, recording }: Pick<UploadRow, 'id' | 'recording'>,
): Promise<void> => {
  const { store } = engines
  const key = originalKey(recording)
  for (const each of await store.multiparts('originals', key)) await store.abortMultipart('originals', key, each)
  await clearStaging(engines, id)
}

const clearStaging = async ({ store }: Engines, id: UploadId): Promise<void> => {
  for (;;) {
    const keys = await store.list('staging', stagingPrefix(id))
    if (keys.length === 0) return
    for (const key of keys) await store.delete('staging', key)
  }
}
