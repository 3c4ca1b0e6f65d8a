import type { Sha256 } from '../base/ids.ts'
import type { Config } from '../engines/config.ts'
import type { RecordingRow, UploadRow } from '../engines/tables.ts'
import type { ReadBack } from './read-back.ts'

export type Verdict = { matches: true } | { matches: false; because: 'digest-mismatch' | 'parts-mismatch' }

/** The digest the read-back must give: what a supervisor accepted, else what the dock declared; null when there is neither. */
export const expectedDigest = (recording: RecordingRow, upload: UploadRow): Sha256 | null => {
  if (recording.flags.includes('digest_disputed')) return recording.sha256
  return upload.kept ? null : upload.sha256
}

export const judge = (read: ReadBack, expected: { size: number; sha256: Sha256 | null }): Verdict => {
  if (read.size !== expected.size || !read.partsIntact) return { matches: false, because: 'parts-mismatch' }
  if (expected.sha256 !== null && read.sha256 !== expected.sha256) return { matches: false, because: 'digest-mismatch' }
  return { matches: true }
}

const earliest = Date.UTC(2005, 0, 1)
const aheadMs = 5 * 60_000

/** What the clocks say: `clock_drift` and `clock_implausible` (design, section 5, Erasure). */
export const clockFlags = (
  recording: Pick<RecordingRow, 'recordedAt' | 'clockOffset' | 'receivedAt'>,
  config: Config,
): string[] => {
  const flags: string[] = []
  const at = recording.recordedAt.getTime()
  if (recording.clockOffset !== null && Math.abs(recording.clockOffset) > config.CLOCK_DRIFT_SECONDS)
    flags.push('clock_drift')
  if (at < earliest || at > recording.receivedAt.getTime() + aheadMs) flags.push('clock_implausible')
  return flags
}
