import type { Engines } from '../engines/engines.ts'
import type { Checkpoint } from '../ledger/log/checkpoints.ts'
import type { Contents } from './contents.ts'
import { logsOfStories } from './continuity.ts'
import { disclosedEntries } from './entries.ts'
import { playsInBrowsers } from './playing.ts'
import { chooseCheckpoints, type Waiting } from './proven.ts'
import { stillRendering } from './queries.ts'

const dayMs = 86_400_000
const lookAgainMs = 5000

/**
 * A defence that cannot play the footage adjourns: where the form that a browser plays is still being made, it is waited
 * for. Not for longer than a day.
 */
const untilPlayable = async ({ clock, db }: Engines, { exhibits }: Contents): Promise<Waiting | undefined> => {
  const now = clock.now().getTime()
  const unplayable = exhibits.filter(({ clip, held }) => clip === null && !playsInBrowsers(held.recording))
  const recordings = unplayable.map(({ held }) => held.recording)
  const unexamined = recordings.find(
    ({ status, receivedAt }) => status === 'verified' && receivedAt.getTime() > now - dayMs,
  )?.id
  const ids = recordings.map(({ id }) => id)
  const waited = unexamined ?? (await stillRendering(db, ids, new Date(now - dayMs)))
  if (waited === undefined) return undefined
  const reference = unplayable.find(({ held }) => held.recording.id === waited)?.exhibit.reference
  const waitsFor = `A copy of ${reference} that browsers play is still being made. The bundle is made by itself as soon as it is there, and after a day at the latest without it.`
  return { waitsFor, againMs: lookAgainMs }
}

/** The heads of the log that a bundle stands on, which can be made now; or what it waits for, in words. */
export const readiness = async (
  engines: Engines,
  contents: Contents,
): Promise<{ checkpoints: Checkpoint[] } | Waiting> =>
  (await untilPlayable(engines, contents)) ??
  (await chooseCheckpoints(
    engines,
    await disclosedEntries(engines.db, contents),
    async () => await logsOfStories(engines.db, contents),
  ))
