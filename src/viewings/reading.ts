import type { RecordingId, ViewingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
import { masterPlaylist, mediaPlaylist } from './playlists.ts'
import { movingRenditions, peakOf, piecesOf, stillRendition, viewingFacts } from './queries.ts'
import { storyboardIndex } from './storyboard.ts'
import { isComplete, isPlayable, whyUnplayable } from './viewing.ts'
import { liveOn, refuseUnmade, viewingAt } from './watching.ts'

/** A viewing's row is never deleted. */
const factsOf = async (engines: Engines, id: ViewingId) => {
  const facts = await viewingFacts(engines.db, id)
  if (facts === undefined) throw new Problem('not-found')
  return facts
}

/** Who watched what of a recording, for the one who did and for supervisors; reading it is an entry. Throws `not-found`. */
export const readViewing = async (engines: Engines, person: Person, id: ViewingId) => {
  const { clock, db } = engines
  const facts = await factsOf(engines, id)
  const act = {
    operation: 'consultation',
    action: 'viewing.read',
    subject: { type: 'recording', id: facts.recording },
    actor: actor(person, 'viewing.read'),
    detail: { viewing: id },
  } as const
  if (facts.person !== person.id && !person.roles.includes('supervisor')) {
    await recordRefusal(engines, act)
    throw new Problem('not-found')
  }
  await inTransaction(db, async (tx) => await record(tx, clock, act))
  return {
    id,
    recording: facts.recording,
    person: { id: facts.person, name: facts.name },
    reason: facts.reason,
    openedAt: iso(facts.openedAt),
    endedAt: facts.endedAt === null ? null : iso(facts.endedAt),
    expiresAt: iso(facts.expiresAt),
    watched: facts.watched,
  }
}

/** What the player shows beside the picture. `active`: somebody watches, and the viewing lives on. */
export const stateAt = async (engines: Engines, token: string, active = false) => {
  const viewing = await viewingAt(engines, token)
  if (active) await liveOn(engines, viewing)
  const { id } = viewing
  const facts = await factsOf(engines, id)
  const moving = await movingRenditions(engines.db, facts.recording)
  const howFar = (kind: 'hls' | 'proxy') => {
    const found = moving.find((rendition) => rendition.kind === kind)
    if (found === undefined) return null
    const { state, progress, facts: made } = found
    const complete = isPlayable(found) && isComplete(found)
    const end = made.shownTo === undefined ? {} : { shownTo: made.shownTo }
    return { state, progress, playable: isPlayable(found), complete, ...end }
  }
  const { recording, camera, officer, filename, duration, flags } = facts
  const picture = facts.tracks.some(({ kind }) => kind === 'video')
  const beyondFirst = (wanted: string) => Math.max(0, facts.tracks.filter(({ kind }) => kind === wanted).length - 1)
  const notPlayed = { video: beyondFirst('video'), audio: beyondFirst('audio') }
  const times = { recordedAt: iso(facts.recordedAt), correctedAt: iso(facts.correctedAt) }
  return {
    id,
    recording: { id: recording, camera, officer, filename, ...times, duration, flags, picture, notPlayed },
    reason: facts.reason,
    viewer: facts.name,
    expiresAt: iso(facts.expiresAt),
    playable: { hls: howFar('hls'), proxy: howFar('proxy') },
    storyboard: facts.storyboard,
    watched: facts.watched,
  }
}

const playableOf = async (engines: Engines, recording: RecordingId, kinds: readonly string[]) => {
  const moving = (await movingRenditions(engines.db, recording)).filter(({ kind }) => kinds.includes(kind))
  const refusal = whyUnplayable(moving, [])
  if (refusal !== undefined) throw refusal
  return moving.filter(isPlayable)
}

/** The playlist of playlists. Throws `not-playable-yet`, `not-playable`. */
export const masterAt = async (engines: Engines, token: string): Promise<string> => {
  const { recording } = await viewingAt(engines, token)
  const streams = await Promise.all(
    (await playableOf(engines, recording, ['hls', 'proxy'])).map(async (rendition) => {
      const bitsPerSecond = await peakOf(engines.db, rendition.id)
      return [rendition.kind, { complete: isComplete(rendition), facts: rendition.facts, bitsPerSecond }] as const
    }),
  )
  return masterPlaylist(Object.fromEntries(streams))
}

/** The playlist of one rendition. Throws `not-playable-yet`, `not-playable`. */
export const mediaAt = async (engines: Engines, token: string, kind: 'hls' | 'proxy'): Promise<string> => {
  const { recording } = await viewingAt(engines, token)
  const [rendition] = await playableOf(engines, recording, [kind])
  if (rendition === undefined) throw new Problem('not-found')
  return mediaPlaylist(isComplete(rendition), await piecesOf(engines.db, rendition.id))
}

/** The storyboard's index. Throws `not-ready`, `not-found`. */
export const storyboardAt = async (engines: Engines, token: string): Promise<string> => {
  const { id, recording } = await viewingAt(engines, token)
  const storyboard = await stillRendition(engines.db, recording, 'storyboard')
  refuseUnmade(storyboard)
  if (storyboard === undefined) throw new Problem('not-found')
  const { duration } = await factsOf(engines, id)
  return storyboardIndex(storyboard.facts, storyboard.names, duration)
}
