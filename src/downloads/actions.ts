import { type DownloadId, newId, type RecordingId, type Sha256 } from '../base/ids.ts'
import { newToken, tokenDigest } from '../base/link-token.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
import { checkReason } from '../people/reasons.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import { whyNot } from './download.ts'
import { deleteDownloads, downloadByToken, insertDownload, recordingToDownload } from './queries.ts'

/**
 * Gives a person an address at which the original can be fetched for a while. The entry, with the reason, commits with it.
 * Throws `bad-request` for a reason that is none, `not-found`, `not-ready`, `quarantined`, `erased`, `conflict`.
 */
export const requestDownload = async (engines: Engines, person: Person, id: RecordingId, reason: string) => {
  const { clock, config, db } = engines
  const purpose = checkReason(config, person, reason)
  const act = {
    operation: 'consultation',
    action: 'recording.download',
    subject: { type: 'recording', id },
    actor: actor(person, 'recording.download'),
    purpose,
  } as const
  const token = newToken()
  const given = await inTransaction(db, async (tx) => {
    const recording = await recordingToDownload(tx, person, id)
    if (recording === undefined) return undefined
    const { size, sha256, status } = recording
    const refusal = whyNot(status)
    if (refusal !== undefined) return refusal
    if (sha256 === null) throw new Error('a recording in custody without its digest')
    const download = newId<DownloadId>()
    const madeAt = clock.now()
    const expiresAt = new Date(madeAt.getTime() + config.DOWNLOAD_MINUTES * 60_000)
    const entry = await record(tx, clock, { ...act, detail: { download, sha256, size, expiresAt: iso(expiresAt) } })
    await insertDownload(tx, {
      id: download,
      token: tokenDigest(token),
      person: person.id,
      recording: id,
      entry,
      madeAt,
      expiresAt,
    })
    return { url: `${config.PUBLIC_URL}/api/v1/downloads/${token}`, sha256, size, expiresAt: iso(expiresAt) }
  })
  if (given === undefined) return await refuseUnseen(engines, person, id, 'recording.download')
  if (!(given instanceof Problem)) return given
  if (given.code !== 'not-ready') await recordRefusal(engines, act)
  throw given
}

/** For so long an address that is over is still known, and says so. */
const knownDays = 7

/** Forgets addresses that were over long ago; their entries stay. Answers how many. */
export const forgetDownloads = async ({ clock, db }: Engines): Promise<number> =>
  await deleteDownloads(db, new Date(clock.now().getTime() - knownDays * 86_400_000))

/** An original that may be served now. */
export type Original = {
  recording: RecordingId
  version: string
  size: number
  sha256: Sha256
  filename: string
  mediaType: string
}

/**
 * What an address leads to. Who asked for it must still be allowed to, and the recording still to be had.
 * Throws `not-found`, `link-expired`, `suspended`, `quarantined`, `erased`, `conflict`.
 */
export const originalAt = async (engines: Engines, token: string): Promise<Original> => {
  const found = await downloadByToken(engines.db, tokenDigest(token))
  if (found === undefined) throw new Problem('not-found')
  if (found.expiresAt <= engines.clock.now()) throw new Problem('link-expired')
  const refusal =
    found.suspendedAt === null
      ? whyNot(found.status)
      : new Problem('suspended', 'The account that asked for this download is suspended.')
  const { recording, filename, size, sha256, objectVersion: version } = found
  if (refusal !== undefined) {
    await recordRefusal(engines, {
      operation: 'consultation',
      action: 'download.fetch',
      subject: { type: 'recording', id: recording },
      actor: { kind: 'person', id: found.person },
      detail: { download: found.id, because: refusal.code },
    })
    throw refusal
  }
  if (sha256 === null || version === null) throw new Error('a recording in custody without its digest or version')
  return { recording, version, size, sha256, filename, mediaType: found.mediaType ?? 'application/octet-stream' }
}
