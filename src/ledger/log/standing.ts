import { bornAt } from '../../base/ids.ts'
import type { Engines } from '../../engines/engines.ts'
import { currentLog } from './log.ts'
import { entryOfLeaf, newestCheckpointRow, numberedSize, oldestOwed, owedLeaves } from './queries.ts'

/** How the log that grows stands. `owed`: entries that no checkpoint covers; `waitingSince`: since when the oldest of them waits. */
export type LogStanding = {
  origin: string
  size: number
  owed: number
  waitingSince: Date | null
  halted: string | null
}

/** Undefined before the first worker has begun the log. */
export const lookAtLog = async ({ db }: Pick<Engines, 'db'>): Promise<LogStanding | undefined> => {
  const log = await currentLog(db)
  if (log === undefined) return undefined
  const size = (await newestCheckpointRow(db, log.number))?.size ?? 0
  // Of those that wait some may be leaves already, which the store does not take.
  const numbered = Math.max(0, (await numberedSize(db, log.number)) - size)
  const oldest = numbered > 0 ? await entryOfLeaf(db, log.number, size) : await oldestOwed(db)
  return {
    origin: log.origin,
    size,
    owed: numbered + (await owedLeaves(db)),
    waitingSince: oldest == null ? null : bornAt(oldest),
    halted: log.halted,
  }
}

/** Beyond this, and ten intervals, waiting is no longer the ordinary. */
const patienceSeconds = 60

/** For an operator; `alarm` when nothing is sequenced though it should be. */
export const logInWords = (
  standing: LogStanding | undefined,
  now: Date,
  intervalSeconds: number,
): { alarm: boolean; says: string } => {
  if (standing === undefined) return { alarm: false, says: 'not begun: the first worker begins it' }
  const { origin, size, owed, waitingSince, halted } = standing
  if (halted !== null) return { alarm: true, says: `HALTED, nothing is sequenced. ${halted}` }
  const leaves = `${origin}: ${size} ${size === 1 ? 'leaf' : 'leaves'} under a checkpoint`
  if (waitingSince === null) return { alarm: false, says: leaves }
  const seconds = Math.max(0, Math.round((now.getTime() - waitingSince.getTime()) / 1000))
  const waiting = `${owed} ${owed === 1 ? 'entry waits' : 'entries wait'}, the oldest for ${seconds} s`
  const alarm = seconds > Math.max(patienceSeconds, 10 * intervalSeconds)
  return {
    alarm,
    says: `${leaves}; ${waiting}${alarm ? ': is a worker at work, can it write to the store, and does a witness answer it?' : ''}`,
  }
}
