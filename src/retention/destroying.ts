import type { RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { bundleKey } from '../bundles/bundle.ts'
import { sidecarPrefix } from '../custody/sidecar.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { Bucket } from '../engines/store.ts'
import { clearPieces } from '../uploads/completion.ts'
import { originalKey } from '../uploads/upload.ts'
import { bundlesWith } from './purge-queries.ts'
import { lockRecording } from './queries.ts'

/** Prefixes, in the bucket `derived`, of all that is ever made of a recording. */
const derivedPrefixes = (id: RecordingId): string[] => [`renditions/${id}/`, `clips/${id}/`, sidecarPrefix(id)]

const pageSize = 1000
const atOnce = 8

type Reached = Pick<Engines, 'db' | 'store'>

/** How many objects the store holds that have a recording's footage in them, versions of the original counted. */
export const countObjects = async ({ db, store }: Reached, id: RecordingId): Promise<number> => {
  let count = (await store.versions('originals', originalKey(id))).length
  for (const bundle of await bundlesWith(db, id))
    if ((await store.facts('derived', bundleKey(bundle))) !== null) count += 1
  for (const prefix of derivedPrefixes(id)) {
    for (let after: string | undefined; ; ) {
      const keys = await store.list('derived', prefix, after)
      count += keys.length
      after = keys.at(-1)
      if (after === undefined || keys.length < pageSize) break
    }
  }
  return count
}

class Kept extends Error {}

const refused = (error: unknown): Error => {
  const name = error instanceof Error ? error.name : 'unknown'
  return new Kept(`The store refused to delete it (${name}).`)
}

const remove = async ({ store }: Reached, bucket: Bucket, key: string, version?: string): Promise<void> => {
  try {
    await store.delete(bucket, key, version)
  } catch (error) {
    if (error instanceof Problem) throw error
    throw refused(error)
  }
}

const removeOriginal = async (engines: Reached, id: RecordingId): Promise<void> => {
  const { store } = engines
  const key = originalKey(id)
  for (const version of await store.versions('originals', key)) await remove(engines, 'originals', key, version)
}

const removeDerived = async (engines: Reached, prefix: string): Promise<void> => {
  const { store } = engines
  for (let before = new Set<string>(); ; ) {
    const keys = await store.list('derived', prefix)
    if (keys.length === 0) return
    if (keys.some((key) => before.has(key)))
      throw new Kept('The store said that it deleted what was made of it, and still has it.')
    for (let first = 0; first < keys.length; first += atOnce) {
      const some = keys.slice(first, first + atOnce)
      await Promise.all(some.map(async (key) => await remove(engines, 'derived', key)))
    }
    before = new Set(keys)
  }
}

/** What whoever was cut off had begun to put there holds footage too. */
const abortBegun = async ({ store }: Reached, prefix: string): Promise<void> => {
  for (;;) {
    const begun = await store.multipartsUnder('derived', prefix)
    for (const { key, multipart } of begun) await store.abortMultipart('derived', key, multipart)
    if (begun.length < pageSize) return
  }
}

/** Our copy of what was disclosed goes too; whoever it was given to has theirs. */
const removeBundles = async (engines: Reached, id: RecordingId): Promise<void> => {
  for (const bundle of await bundlesWith(engines.db, id)) {
    await abortBegun(engines, bundleKey(bundle))
    await remove(engines, 'derived', bundleKey(bundle))
  }
}

/**
 * Deletes every version of the original and everything that was made of it, and asks for all of it again. Repeatable.
 * Answers undefined when nothing is there any more, else what the store did, in words. GOVERNANCE is never bypassed.
 * Throws `store-unavailable`.
 */
export const destroy = async (
  engines: Engines,
  id: RecordingId,
  upload: Parameters<typeof clearPieces>[1]['id'],
): Promise<string | undefined> => {
  try {
    await removeOriginal(engines, id)
    for (const prefix of derivedPrefixes(id)) {
      await removeDerived(engines, prefix)
      await abortBegun(engines, prefix)
    }
    await removeBundles(engines, id)
    await clearPieces(engines, { id: upload, recording: id })
    const left = await countObjects(engines, id)
    return left === 0 ? undefined : `The store said that it deleted everything, and still has ${left} of its objects.`
  } catch (error) {
    if (error instanceof Kept) return error.message
    throw error
  }
}

/** Until when the store protects the original; null when it does not, or no more by its own clock. */
export const protectedUntil = async (engines: Engines, id: RecordingId): Promise<Date | null> => {
  const { db, enforced, store } = engines
  if ((await enforced.learn())?.lock === false) return null
  const recording = await inTransaction(db, async (tx) => await lockRecording(tx, id, 'share'))
  if (recording?.objectVersion == null) return null
  const until = await store.lockedUntil(originalKey(id), recording.objectVersion)
  return until !== null && until > (await store.now()) ? until : null
}
