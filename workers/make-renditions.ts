import type { Handler } from '../src/jobs/catalogue.ts'
import { makeOwed } from '../src/renditions/actions.ts'

export const makeRenditions: Handler<'make-renditions'> = async (engines, { recordingId }, run) =>
  await makeOwed(engines, recordingId, run)
