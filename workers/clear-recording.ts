import { clearRecording as clear } from '../src/custody/disputes.ts'
import type { Handler } from '../src/jobs/catalogue.ts'

export const clearRecording: Handler<'clear-recording'> = async (engines, { recordingId }) =>
  (await clear(engines, recordingId))
    ? { outcome: 'done' }
    : { outcome: 'skipped', because: 'the recording is evidence' }
