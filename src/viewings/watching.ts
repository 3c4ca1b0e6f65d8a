import type { Readable } from 'node:stream'
import type { RecordingId, RenditionId } from '../base/ids.ts'
import { tokenDigest } from '../base/link-token.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import type { Db } from '../engines/postgres.ts'
import type { RenditionRow, WatchedRange } from '../engines/tables.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { renditionKey } from '../renditions/rendition.ts'
import { inBatches } from './in-batches.ts'
import { endAfter } from './opening.ts'
import { type ViewingRow, viewingByToken, viewingWithObject, type WatchedWrite, writeWatched } from './queries.ts'
import { isComplete, isPlayable, whyUnplayable, whyUnseen } from './viewing.ts'
import { covers, withRange } from './watched.ts'

/** Why a viewing has ended, in words; undefined while it is open. */
const whyOver = ({ clock, config }: Engines, viewing: ViewingRow): string | undefined => {
  const { endedAt, expiresAt, openedAt, resumedAt } = viewing
  if (expiresAt <= clock.now())
    return `Its page was left, or nothing was watched for ${config.VIEWING_MINUTES} minutes.`
  if (resumedAt !== null && resumedAt >= openedAt) return 'The account that opened it was suspended meanwhile.'
  return endedAt === null ? undefined : 'It was closed.'
}

/**
 * The viewing, if it is still open, its person still allowed and its recording still to be seen. A refusal of one that was
 * open is recorded. Throws `not-found`, `viewing-ended`, `suspended`, `quarantined`, `erased`, `conflict`.
 */
const admit = async <Row extends ViewingRow>(engines: Engines, found: Row | undefined): Promise<Row> => {
  if (found === undefined) throw new Problem('not-found')
  const refusal =
    found.suspendedAt === null
      ? whyUnseen(found.status)
      : new Problem('suspended', 'The account that opened this viewing is suspended.')
  const over = whyOver(engines, found)
  if (over !== undefined) throw refusal ?? new Problem('viewing-ended', over)
  if (refusal === undefined) return found
  await recordRefusal(engines, {
    operation: 'consultation',
    action: 'viewing.watch',
    subject: { type: 'recording', id: found.recording },
    actor: { kind: 'person', id: found.person },
    detail: { viewing: found.id, because: refusal.code },
  })
  throw refusal
}

/** The open viewing behind a token; throws what `admit` does. */
export const viewingAt = async (engines: Engines, token: string): Promise<ViewingRow> =>
  await admit(engines, await viewingByToken(engines.db, tokenDigest(token)))

/** Whether a viewing was ever opened under this token, be it over or not. */
export const isKnown = async (engines: Engines, token: string): Promise<boolean> =>
  (await viewingByToken(engines.db, tokenDigest(token))) !== undefined

/** What is watched for long is written anew this often, so that the viewing lives on. */
const extendMs = 30_000

const writers = new WeakMap<Db, (write: WatchedWrite) => Promise<boolean>>()

/** Many who watch at once share commits. */
const writerOf = (db: Db): ((write: WatchedWrite) => Promise<boolean>) => {
  const known = writers.get(db)
  if (known !== undefined) return known
  const made = inBatches<WatchedWrite>(
    ({ viewing }) => viewing.id,
    async (writes) => {
      const written = await writeWatched(db, writes)
      return ({ viewing }) => written.has(viewing.id)
    },
  )
  writers.set(db, made)
  return made
}

/**
 * Writes down that a range is about to be seen, and lets the viewing live on; nothing is written where both were done just
 * now. `seen` is when it would have expired as the request began: a page that was left since stays left. Throws what `admit`
 * does when the viewing is over meanwhile.
 */
const noteWatched = async (
  engines: Engines,
  token: string,
  viewing: ViewingRow,
  range: WatchedRange,
  seen = viewing.expiresAt,
): Promise<void> => {
  const now = engines.clock.now()
  const expiresAt = endAfter(engines, now)
  const extended = expiresAt.getTime() - viewing.expiresAt.getTime() < extendMs
  if (extended && covers(viewing.watched, range)) return
  const changed = withRange(viewing.watched, range)
  if (await writerOf(engines.db)({ viewing, seen, changed, now, expiresAt })) return
  // Another segment of the same viewing was quicker, or it has ended.
  await noteWatched(engines, token, await viewingAt(engines, token), range, seen)
}

/** Lets a viewing live on in which somebody moves about in what they were given already. */
export const liveOn = async (engines: Engines, viewing: ViewingRow): Promise<void> => {
  const now = engines.clock.now()
  const expiresAt = endAfter(engines, now)
  if (expiresAt.getTime() - viewing.expiresAt.getTime() < extendMs) return
  // A segment that is written at the same moment does as much.
  await writerOf(engines.db)({ viewing, seen: viewing.expiresAt, changed: viewing.watched, now, expiresAt })
}

/** An object that may be served. `range` is what of the recording it shows, where it counts as watched. */
export type Served = { key: string; size: number; viewing: ViewingRow; range?: WatchedRange }

type Named = { rendition: RenditionId | null; name: string | null; size: number | null }

const servedFrom = (viewing: ViewingRow, recording: RecordingId, { rendition, name, size }: Named): Served => {
  if (rendition === null || name === null || size === null) throw new Problem('not-found')
  return { key: renditionKey(recording, rendition, name), size, viewing }
}

const madeOf = (row: { state: RenditionRow['state'] | null; sha256: RenditionRow['sha256'] | null }) =>
  row.state === null ? undefined : { state: row.state, sha256: row.sha256 }

/** The beginning or a segment of a rendition that moves. Throws what `admit` does, `not-playable-yet`, `not-playable`. */
export const segmentAt = async (
  engines: Engines,
  token: string,
  kind: 'hls' | 'proxy',
  name: string,
): Promise<Served> => {
  const found = await admit(engines, await viewingWithObject(engines.db, tokenDigest(token), kind, name))
  const served = servedFrom(found, found.recording, found)
  const made = madeOf(found)
  if (made !== undefined && !isPlayable({ ...made, begun: true })) {
    throw whyUnplayable([{ ...made, failure: found.failure, begun: true }], []) ?? new Problem('not-found')
  }
  const { number, start, duration } = found
  if (number === null || number === 0 || start === null || duration === null) return served
  return { ...served, range: [start, start + duration] }
}

/** A picture of the poster or the storyboard, which the viewing's own entry covers. Throws what `admit` does, `not-ready`. */
export const pictureAt = async (
  engines: Engines,
  token: string,
  kind: 'poster' | 'storyboard',
  name: string,
): Promise<Served> => {
  const found = await admit(engines, await viewingWithObject(engines.db, tokenDigest(token), kind, name))
  const made = madeOf(found)
  refuseUnmade(made)
  return servedFrom(found, found.recording, found)
}

/** Throws `not-ready` for a still rendition that is being made. One that failed is not there, and no cause for alarm. */
export const refuseUnmade = (made: Pick<RenditionRow, 'state' | 'sha256'> | undefined): void => {
  if (made === undefined || made.state === 'failed') throw new Problem('not-found')
  if (!isComplete(made)) throw new Problem('not-ready', 'The pictures are being made.', { retryAfter: 5 })
}

/**
 * The object's bytes. What they show is on record before this answers, and only if there is something to send.
 * Throws `not-found`, `store-unavailable`, and what `admit` does.
 */
export const openServed = async (
  engines: Engines,
  token: string,
  { key, viewing, range }: Served,
  signal: AbortSignal,
): Promise<Readable> => {
  const stream = await engines.store.read('derived', key, { signal })
  // A rendition that is made again leaves none of its old objects.
  if (stream === null) throw new Problem('not-found')
  if (range === undefined) return stream
  try {
    await noteWatched(engines, token, viewing, range)
    return stream
  } catch (error) {
    stream.destroy()
    throw error
  }
}
