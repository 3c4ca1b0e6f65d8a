import type { Handlers } from '../src/jobs/catalogue.ts'
import { clearRecording } from './clear-recording.ts'
import { clearUpload } from './clear-upload.ts'
import { cutClip } from './cut-clip.ts'
import { holdOriginal } from './hold-original.ts'
import { keepSidecar } from './keep-sidecar.ts'
import { makeBundle } from './make-bundle.ts'
import { makeRenditions } from './make-renditions.ts'
import { purge } from './purge.ts'
import { simulatePolicy } from './simulate-policy.ts'
import { takeIntoCustody } from './take-into-custody.ts'

/** A job without a handler does not compile. */
export const handlers: Handlers = {
  'take-into-custody': takeIntoCustody,
  'make-renditions': makeRenditions,
  'cut-clip': cutClip,
  'make-bundle': makeBundle,
  'clear-upload': clearUpload,
  'clear-recording': clearRecording,
  'simulate-policy': simulatePolicy,
  purge,
  'hold-original': holdOriginal,
  'keep-sidecar': keepSidecar,
}
