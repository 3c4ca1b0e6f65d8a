import type { RecordingRow } from '../engines/tables.ts'
import { planFor } from '../renditions/plan.ts'

/**
 * Whether a browser plays the file as it came: an MP4 with its index, H.264 and AAC in it. Anything else may play in one
 * browser and not in the next, and gets a copy that plays in all.
 */
export const playsInBrowsers = (recording: Pick<RecordingRow, 'mediaType' | 'flags' | 'tracks'>): boolean => {
  const { mediaType, flags } = recording
  if (flags.includes('truncated') || (mediaType !== 'video/mp4' && mediaType !== 'audio/mp4')) return false
  const plan = planFor(recording)
  return (
    plan !== undefined && (plan.video === undefined || plan.copyVideo) && (plan.audio === undefined || plan.copyAudio)
  )
}
