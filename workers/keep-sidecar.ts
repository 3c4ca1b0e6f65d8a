import { keepSidecar as keep } from '../src/custody/keep-sidecar.ts'
import type { Handler } from '../src/jobs/catalogue.ts'

export const keepSidecar: Handler<'keep-sidecar'> = async (engines, { recordingId }, run) =>
  await keep(engines, recordingId, run)
