import { type DownloadId, newId, type PersonId } from '../base/ids.ts'
import { newToken, tokenDigest } from '../base/link-token.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import { bundleKey } from '../bundles/bundle.ts'
import { whyWithheldNow } from '../bundles/withheld.ts'
import { clipKey } from '../clips/clip.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
import { checkReason } from '../people/reasons.ts'
import { originalKey } from '../uploads/upload.ts'
import { findFor, operationFor, permissionFor, refuseHidden, whole } from './asked.ts'
import { type Served, type Wanted, whyNot } from './download.ts'
import {
  bundleFile,
  bundleToDownload,
  clipFile,
  deleteDownloads,
  downloadByToken,
  insertDownload,
  recordingFile,
} from './queries.ts'

/**
 * Gives a person an address at which an original, a clip or a bundle can be fetched for a while. The entry, with the reason,
 * commits with it. Throws `bad-request` for a reason that is none, `not-found`, `not-ready`, `quarantined`, `erased`,
 * `conflict`, `exhibit-sensitive`.
 */
export const requestDownload = async (engines: Engines, person: Person, wanted: Wanted, reason: string) => {
  const { clock, config, db } = engines
  const action = permissionFor(wanted)
  const act = {
    operation: operationFor(wanted),
    action,
    subject: wanted,
    actor: actor(person, action),
    purpose: checkReason(config, person, reason),
  }
  const token = newToken()
  const given = await inTransaction(db, async (tx) => {
    const found = await findFor(tx, person, wanted)
    if (found === undefined || found instanceof Problem) return found
    const { size, sha256, recording, clip, bundle } = found
    const download = newId<DownloadId>()
    const madeAt = clock.now()
    const expiresAt = new Date(madeAt.getTime() + config.DOWNLOAD_MINUTES * 60_000)
    const entry = await record(tx, clock, {
      ...act,
      ...('recipient' in found ? { recipient: found.recipient } : {}),
      detail: { download, sha256, size, expiresAt: iso(expiresAt) },
    })
    const leads = { recording, clip, bundle, token: tokenDigest(token) }
    await insertDownload(tx, { id: download, ...leads, person: person.id, entry, madeAt, expiresAt })
    return { url: `${config.PUBLIC_URL}/api/v1/downloads/${token}`, sha256, size, expiresAt: iso(expiresAt) }
  })
  if (given === undefined) return await refuseHidden(engines, person, wanted)
  if (!(given instanceof Problem)) return given
  if (given.code !== 'not-ready') await recordRefusal(engines, act)
  throw given
}

/** For so long an address that is over is still known, and says so. */
const knownDays = 7

/** Forgets addresses that were over long ago; their entries stay. Answers how many. */
export const forgetDownloads = async ({ clock, db }: Engines): Promise<number> =>
  await deleteDownloads(db, new Date(clock.now().getTime() - knownDays * 86_400_000))

type Found = NonNullable<Awaited<ReturnType<typeof downloadByToken>>>

const leadsTo = ({ recording, clip, bundle }: Found): Wanted => {
  if (bundle !== null) return { type: 'bundle', id: bundle }
  if (clip !== null) return { type: 'clip', id: clip }
  if (recording !== null) return { type: 'recording', id: recording }
  throw new Error('an address that leads nowhere')
}

/** The file as it is now, or why it cannot be had any more. */
const fileOf = async ({ db }: Engines, of: Wanted, person: PersonId): Promise<Served | Problem> => {
  switch (of.type) {
    case 'recording': {
      const { status, filename, mediaType, objectVersion: version, ...row } = await recordingFile(db, of.id)
      const refusal = whyNot(status)
      if (refusal !== undefined) return refusal
      if (version === null) throw new Error('a recording in custody without its version')
      const at = { bucket: 'originals', key: originalKey(of.id), version } as const
      return { of, ...at, ...whole(row), filename, mediaType: mediaType ?? 'application/octet-stream' }
    }
    case 'clip': {
      const { status, title, attempt, recording, ...row } = await clipFile(db, of.id)
      const refusal = whyNot(status)
      if (refusal !== undefined) return refusal
      if (attempt === null) throw new Error('a clip that is ready without its object')
      const at = { bucket: 'derived', key: clipKey(recording, of.id, attempt) } as const
      return { of, ...at, ...whole(row), filename: `${title}.mp4`, mediaType: 'video/mp4' }
    }
    case 'bundle': {
      if ((await bundleToDownload(db, { id: person }, of.id)) === undefined)
        return new Problem('not-found', 'Who asked for this download is no longer a member of the case.')
      const refusal = await whyWithheldNow(db, of.id)
      if (refusal !== undefined) return refusal
      const at = { bucket: 'derived', key: bundleKey(of.id) } as const
      const filename = `exhibit-bundle-${of.id}.zip`
      return { of, ...at, ...whole(await bundleFile(db, of.id)), filename, mediaType: 'application/zip' }
    }
  }
}

/**
 * What an address leads to. Who asked for it must still be allowed to, and the file still to be had.
 * Throws `not-found`, `link-expired`, `suspended`, `quarantined`, `erased`, `conflict`, `exhibit-sensitive`.
 */
export const fileAt = async (engines: Engines, token: string): Promise<Served> => {
  const found = await downloadByToken(engines.db, tokenDigest(token))
  if (found === undefined) throw new Problem('not-found')
  if (found.expiresAt <= engines.clock.now()) throw new Problem('link-expired')
  const wanted = leadsTo(found)
  const served =
    found.suspendedAt === null
      ? await fileOf(engines, wanted, found.person)
      : new Problem('suspended', 'The account that asked for this download is suspended.')
  if (!(served instanceof Problem)) return served
  await recordRefusal(engines, {
    operation: operationFor(wanted),
    action: 'download.fetch',
    subject: wanted,
    actor: { kind: 'person', id: found.person },
    detail: { download: found.id, because: served.code },
  })
  throw served
}
