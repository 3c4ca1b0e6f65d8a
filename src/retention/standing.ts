import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { purgesPage, type ShownPurge } from './purge-queries.ts'

/** Why purges stand still: the newest waits for a release, found a wrong clock, gave up, or does not come to its end. */
const reasons = ['brake', 'clock', 'failed', 'long'] as const
const longMs = 86_400_000
type Stopped = (typeof reasons)[number]

/** Its job gave up, and is not tried again by itself. */
export const isLost = ({ state, jobState }: ShownPurge): boolean => state === 'running' && jobState === 'failed'

const whyStopped = (purge: ShownPurge, now: Date): Stopped | undefined => {
  if (purge.state === 'braked') return 'brake'
  if (isLost(purge)) return 'failed'
  const since = purge.releasedAt ?? purge.startedAt
  if (purge.state === 'running' && now.getTime() - since.getTime() > longMs) return 'long'
  // One that is done has something to say only where it did nothing.
  return purge.state === 'done' && purge.said !== null ? 'clock' : undefined
}

export type Standing = { newest: ShownPurge | undefined; stopped: Stopped | undefined }

type Looking = Pick<Engines, 'clock' | 'db' | 'metrics'>

/** How the newest purge stands; the metric says so too. */
export const lookAtPurges = async ({ clock, db, metrics }: Looking): Promise<Standing> => {
  const [newest] = await purgesPage(db, undefined, 1)
  const stopped = newest === undefined ? undefined : whyStopped(newest, clock.now())
  for (const why of reasons) metrics.purgeStopped.set({ why }, why === stopped ? 1 : 0)
  return { newest, stopped }
}

const alarms: Record<Stopped, string> = {
  brake: 'braked, and waits for a second person to release it or for somebody to give it up',
  clock: "did nothing, since its clock and the database's or the store's differ: set the clocks",
  failed: 'gave up: it says why, and the next one takes its place',
  long: 'has been at work for more than a day: look at the store and at its job, or give it up',
}

/** In words, and whether somebody has to look. */
export const purgesInWords = ({ newest, stopped }: Standing): { alarm: boolean; says: string } => {
  if (newest === undefined) return { alarm: false, says: 'no purge was started yet' }
  const so = `the purge of ${iso(newest.startedAt)}`
  if (stopped !== undefined) return { alarm: true, says: `alarm: ${so} ${alarms[stopped]} (GET /retention/purges)` }
  return { alarm: false, says: `${so} is ${newest.state}` }
}
