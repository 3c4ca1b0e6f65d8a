import { newId, type RecordingId, type ViewingId } from '../base/ids.ts'
import { newToken, tokenDigest } from '../base/link-token.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import { isGivenUp } from '../custody/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import { insertViewing, movingRenditions, personToWatch, recordingToView, waitsForRoom } from './queries.ts'
import { reasonOfViewing } from './reason.ts'
import { whyNoRoom, whyUnplayable, whyUnseen } from './viewing.ts'

/** When a viewing ends by itself that was watched at `now`. */
export const endAfter = ({ config }: Pick<Engines, 'config'>, now: Date): Date =>
  new Date(now.getTime() + config.VIEWING_MINUTES * 60_000)

const addressesOf = ({ config }: Engines, token: string) => {
  const base = `${config.PUBLIC_URL}/api/v1/viewings/${token}`
  return {
    playerUrl: `${base}/player`,
    playlistUrl: `${base}/playlist.m3u8`,
    posterUrl: `${base}/poster.jpg`,
    storyboardUrl: `${base}/storyboard.vtt`,
  }
}

/** Why this person may not open one more viewing. Holds the person until the transaction ends. */
const whyNoMore = async (tx: Tx, { config }: Engines, person: Person, now: Date): Promise<Problem | undefined> => {
  const { suspended, open } = await personToWatch(tx, person.id, now)
  if (suspended) return new Problem('suspended')
  if (open < config.VIEWINGS_OPEN) return undefined
  return new Problem('too-many-viewings', `A person may have ${config.VIEWINGS_OPEN} viewings open at once.`)
}

/**
 * Lets a person watch a recording for a while, at addresses of their own. The entry, with the reason, commits with it.
 * Throws `bad-request` for a reason that is none, `not-found`, `not-playable-yet`, `not-playable`, `too-many-viewings`,
 * `quarantined`, `erased`, `conflict`.
 */
export const openViewing = async (engines: Engines, person: Person, id: RecordingId, reason: string | undefined) => {
  const { clock, config, db } = engines
  const purpose = reasonOfViewing(config, person, reason)
  const act = {
    operation: 'consultation',
    action: 'recording.viewing',
    subject: { type: 'recording', id },
    actor: actor(person, 'recording.viewing'),
    ...(purpose === undefined ? {} : { purpose }),
  } as const
  const token = newToken()
  const opened = await inTransaction(db, async (tx) => {
    const recording = await recordingToView(tx, person, id)
    if (recording === undefined) return undefined
    const openedAt = clock.now()
    const refusal =
      whyUnseen(recording.status, await isGivenUp(tx, id, recording.status)) ??
      whyUnplayable(await movingRenditions(tx, id), recording.flags) ??
      (await whyNoMore(tx, engines, person, openedAt))
    if (refusal !== undefined)
      return refusal.code === 'not-playable-yet' && (await waitsForRoom(tx, id)) ? whyNoRoom() : refusal
    const viewing = newId<ViewingId>()
    const expiresAt = endAfter(engines, openedAt)
    const entry = await record(tx, clock, { ...act, detail: { viewing } })
    const row = { id: viewing, token: tokenDigest(token), person: person.id, recording: id, entry, openedAt, expiresAt }
    await insertViewing(tx, row)
    return { id: viewing, ...addressesOf(engines, token), expiresAt: iso(expiresAt) }
  })
  if (opened === undefined) return await refuseUnseen(engines, person, id, 'recording.viewing')
  if (!(opened instanceof Problem)) return opened
  if (opened.code !== 'not-playable-yet') await recordRefusal(engines, act)
  throw opened
}
