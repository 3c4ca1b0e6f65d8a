import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type ClipId, IdOf, newId, type RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import { isGivenUp } from '../custody/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import { owe } from '../jobs/outbox.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { checkReason } from '../people/reasons.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import { secondsShown } from '../renditions/queries.ts'
import { whyNoRange, whyUncut } from './clip.ts'
import {
  clipShown,
  clipsOf,
  insertClip,
  personToServe,
  recordingIsKnown,
  recordingOfClip,
  recordingToCut,
  type ShownClip,
} from './queries.ts'
import type { ClipRequest, ClipsQuery } from './schemas.ts'

/**
 * Fair turns: so many clips of one person wait in the queue at once, whatever else is owed to them. Each that ends makes
 * the next one due; should that ever not happen, it becomes due by itself after so many seconds a place.
 */
const atOnce = 2
const secondsAPlace = 30

const whyNoMore = async (tx: Tx, { config }: Engines, person: Person): Promise<Problem | { place: number }> => {
  const { suspended, owed } = await personToServe(tx, person.id)
  if (suspended) return new Problem('suspended')
  if (owed < config.CLIPS_OWED) return { place: Math.max(0, owed + 1 - atOnce) }
  return new Problem('too-many-clips', `A person may be owed ${config.CLIPS_OWED} clips at once.`, { retryAfter: 30 })
}

/**
 * Owes an exact clip. The entry, with the reason, and the job commit with it. Throws `bad-request`, `not-found`,
 * `not-ready`, `clip-outside-recording`, `clip-impossible`, `too-many-clips`, `quarantined`, `erased`, `conflict`.
 */
export const requestClip = async (engines: Engines, person: Person, recording: RecordingId, asked: ClipRequest) => {
  const { clock, config, db } = engines
  const { start, end } = asked
  const title = asked.title.trim()
  const act = {
    operation: 'consultation',
    action: 'clip.request',
    subject: { type: 'recording', id: recording },
    actor: actor(person, 'clip.request'),
    purpose: checkReason(config, person, asked.reason),
  } as const
  const owed = await inTransaction(db, async (tx) => {
    const found = await recordingToCut(tx, person, recording)
    if (found === undefined) return undefined
    // An index may claim any length; what playing it found out is believed as well.
    const shown = found.duration === null ? null : await secondsShown(tx, recording)
    const known = found.duration === null ? null : Math.max(found.duration, shown ?? 0)
    const givenUp = await isGivenUp(tx, recording, found.status)
    const refusal = whyUncut(found, givenUp) ?? whyNoRange({ start, end }, known)
    if (refusal !== undefined) return refusal
    const turn = await whyNoMore(tx, engines, person)
    if (turn instanceof Problem) return turn
    const id = newId<ClipId>()
    const askedAt = clock.now()
    const entry = await record(tx, clock, { ...act, detail: { clip: id, title, start, end } })
    const dueAt = new Date(askedAt.getTime() + turn.place * secondsAPlace * 1000)
    const job = await owe(
      tx,
      clock,
      'cut-clip',
      { clipId: id },
      turn.place === 0 ? { cause: entry } : { cause: entry, dueAt },
    )
    const row = {
      id,
      recording,
      person: person.id,
      title,
      starts: start,
      ends: end,
      state: 'owed',
      failure: null,
    } as const
    const unmade = { attempt: null, sha256: null, size: null, duration: null, frames: null, method: null } as const
    await insertClip(tx, { ...row, ...unmade, entry, job, askedAt })
    return { id }
  })
  if (owed === undefined) return await refuseUnseen(engines, person, recording, 'clip.request')
  if (!(owed instanceof Problem)) return owed
  if (owed.code !== 'not-ready') await recordRefusal(engines, act)
  throw owed
}

/** Its job gave up for a reason of the machine's: to whoever asked, that is a failure like another. */
const gaveUp =
  'It could not be cut here just now, which says nothing about the footage. An administrator can have it tried again.'

const view = (clip: ShownClip) => {
  const lost = clip.state !== 'ready' && clip.state !== 'failed' && clip.jobState === 'failed'
  const { id, recording, title, reason, progress, sha256, size, duration, frames, method, provenance } = clip
  return {
    id,
    recording,
    person: { id: clip.person, name: clip.name },
    title,
    reason,
    start: clip.starts,
    end: clip.ends,
    state: lost ? ('failed' as const) : clip.state,
    progress,
    failure: lost ? gaveUp : clip.failure,
    ...{ sha256, size, duration, frames, method, provenance },
    askedAt: iso(clip.askedAt),
    endedAt: clip.endedAt === null ? null : iso(clip.endedAt),
  }
}

/** Asking how far one's own clip is, again and again, is not looking at anything. */
const isWaiting = ({ state, person }: ShownClip, who: Person) =>
  person === who.id && (state === 'owed' || state === 'working')

/** A clip's facts; reading them is an entry, but for whoever waits for it to be cut. Throws `not-found`. */
export const readClip = async (engines: Engines, person: Person, id: ClipId) => {
  const { clock, db } = engines
  const clip = await inTransaction(db, async (tx) => {
    const found = await clipShown(tx, person, id)
    if (found === undefined || isWaiting(found, person)) return found
    await record(tx, clock, {
      operation: 'consultation',
      action: 'clip.read',
      subject: { type: 'recording', id: found.recording },
      actor: actor(person, 'clip.read'),
      detail: { clip: id },
    })
    return found
  })
  if (clip !== undefined) return view(clip)
  const recording = await recordingOfClip(db, id)
  if (recording === undefined) throw new Problem('not-found')
  return await refuseUnseen(engines, person, recording, 'clip.read')
}

const beforeOf = (cursor: string | undefined): ClipId | undefined => {
  if (cursor === undefined) return undefined
  const [id] = decodeCursor(cursor)
  if (!Value.Check(IdOf.clip, id)) throw cursorProblem()
  return id
}

/** One page of a recording's clips, newest first; what was found is an entry. Throws `not-found`, `bad-request`. */
export const listClips = async (engines: Engines, person: Person, recording: RecordingId, query: ClipsQuery) => {
  const { clock, db } = engines
  const { limit = defaultLimit } = query
  const before = beforeOf(query.cursor)
  const page = await inTransaction(db, async (tx) => {
    if (!(await recordingIsKnown(tx, person, recording))) return undefined
    const rows = await clipsOf(tx, person, recording, before, limit + 1)
    const found = cutPage(rows, limit, view, ({ id }) => [id])
    await record(tx, clock, {
      operation: 'consultation',
      action: 'clip.list',
      subject: { type: 'recording', id: recording },
      actor: actor(person, 'clip.list'),
      detail: { found: found.items.map(({ id }) => id) },
    })
    return found
  })
  return page ?? (await refuseUnseen(engines, person, recording, 'clip.list'))
}
