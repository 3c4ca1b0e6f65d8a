import type { Handlers } from '../src/jobs/catalogue.ts'
import { clearRecording } from './clear-recording.ts'
import { clearUpload } from './clear-upload.ts'
import { makeRenditions } from './make-renditions.ts'
import { takeIntoCustody } from './take-into-custody.ts'

/** A job without a handler does not compile. */
export const handlers: Handlers = {
  'take-into-custody': takeIntoCustody,
  'make-renditions': makeRenditions,
  'clear-upload': clearUpload,
  'clear-recording': clearRecording,
}
