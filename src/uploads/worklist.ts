import type { RecordingId, UploadId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { UploadRow, UploadState } from '../engines/tables.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { endUpload } from './actions.ts'
import { arrived } from './arrival.ts'
import { expiredUploads, markKept, setState, uploadForUpdate, uploadsPage } from './queries.ts'

const sweeper: Actor = { kind: 'service', id: 'expire-uploads' }

/** Puts uploads that stood still past their time onto the work list; what arrived of them is kept. Answers how many. */
export const expireUploads = async (engines: Engines): Promise<number> =>
  await inTransaction(engines.db, async (tx) => {
    const uploads = await expiredUploads(tx, 'open', engines.clock.now())
    for (const upload of uploads) {
      await setState(tx, upload.id, 'expired')
      await record(tx, engines.clock, {
        operation: 'administration',
        action: 'upload.expired',
        subject: { type: 'upload', id: upload.id },
        actor: sweeper,
        detail: { received: upload.received, size: upload.size },
      })
    }
    return uploads.length
  })

/** Removes the parts of uploads that nobody kept within the second period. Answers how many. */
export const removeExpiredParts = async (engines: Engines): Promise<number> => {
  const { clock, config, db } = engines
  const before = new Date(clock.now().getTime() - config.UPLOAD_PARTS_KEPT_HOURS * 3_600_000)
  return await inTransaction(db, async (tx) => {
    const uploads = await expiredUploads(tx, 'expired', before)
    for (const upload of uploads) await endUpload(tx, engines, upload, sweeper, 'upload.parts-removed')
    return uploads.length
  })
}

/** A supervisor keeps what arrived of an expired upload: a recording flagged `truncated`, to be read back against its parts. */
export const keepUpload = async (engines: Engines, actor: Actor, id: UploadId, reason: string): Promise<RecordingId> =>
  await inTransaction(engines.db, async (tx) => {
    const upload = await uploadForUpdate(tx, id)
    if (upload === undefined) throw new Problem('not-found')
    if (upload.state !== 'expired')
      throw new Problem('conflict', `The upload is ${upload.state}; only an expired one can be kept.`)
    if (upload.received === 0) throw new Problem('conflict', 'Nothing of this file ever arrived.')
    await arrived(tx, engines, upload, actor, { purpose: reason })
    await markKept(tx, id)
    return upload.recording
  })

/** A page of the work list, oldest first; looking at it is an entry. One row more than `limit` when there are more. */
export const listUploads = async (
  { db, clock }: Engines,
  actor: Actor,
  asked: { state: UploadState | undefined; after: UploadId | undefined; limit: number },
): Promise<UploadRow[]> =>
  await inTransaction(db, async (tx) => {
    const rows = await uploadsPage(tx, asked.state, asked.after, asked.limit + 1)
    await record(tx, clock, {
      operation: 'consultation',
      action: 'upload.list',
      subject: { type: 'uploads', id: asked.state ?? 'all' },
      actor,
      detail: { found: rows.slice(0, asked.limit).map(({ id }) => id) },
    })
    return rows
  })
