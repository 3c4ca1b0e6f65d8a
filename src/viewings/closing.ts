import type { ViewingId } from '../base/ids.ts'
import { tokenDigest } from '../base/link-token.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { endSooner, endViewing, viewingByToken, viewingsOver } from './queries.ts'

const sweeper: Actor = { kind: 'service', id: 'close-viewings' }

/** Ends one with the entry that names the first and says what was watched: both, and once, or neither. */
const close = async ({ clock, db }: Engines, id: ViewingId, by: Actor, onlyIfOver: boolean): Promise<boolean> =>
  await inTransaction(db, async (tx) => {
    const ended = await endViewing(tx, id, clock.now(), { onlyIfOver })
    if (ended === undefined) return false
    await record(tx, clock, {
      operation: 'consultation',
      action: 'recording.viewing-ended',
      subject: { type: 'recording', id: ended.recording },
      actor: by,
      detail: { viewing: id, opened: ended.entry, watched: ended.watched },
    })
    return true
  })

/** Closes a viewing at the wish of whoever holds its token. One that has ended stays as it is. Throws `not-found`. */
export const closeViewing = async (engines: Engines, token: string): Promise<void> => {
  const viewing = await viewingByToken(engines.db, tokenDigest(token))
  if (viewing === undefined) throw new Problem('not-found')
  if (viewing.endedAt === null) await close(engines, viewing.id, { kind: 'person', id: viewing.person }, false)
}

/** Longer than a page takes to load, and than it waits between two questions while somebody watches. */
const backWithinMs = 20_000

/**
 * Whoever leaves the page may be loading it anew, or have it open once more: the viewing is over in a moment, unless somebody
 * watches on. The sweep closes it. One that has ended stays as it is. Throws `not-found`.
 */
export const leaveViewing = async ({ clock, db }: Engines, token: string): Promise<void> => {
  const viewing = await viewingByToken(db, tokenDigest(token))
  if (viewing === undefined) throw new Problem('not-found')
  await endSooner(db, viewing.id, new Date(clock.now().getTime() + backWithinMs))
}

const atOnce = 200

/**
 * Closes the viewings that nobody watches any more, those of people who were suspended, and those of recordings that may no
 * longer be seen. Answers how many.
 */
export const closeViewings = async (engines: Engines, signal: AbortSignal): Promise<number> => {
  let closed = 0
  for (;;) {
    const over = await viewingsOver(engines.db, engines.clock.now(), atOnce)
    for (const id of over) {
      if (signal.aborted) return closed
      if (await close(engines, id, sweeper, true)) closed += 1
    }
    if (over.length < atOnce) return closed
  }
}
