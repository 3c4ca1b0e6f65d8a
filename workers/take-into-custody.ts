import type { Handler } from '../src/jobs/catalogue.ts'
import { takeAndShow } from '../src/renditions/actions.ts'

export const takeIntoCustody: Handler<'take-into-custody'> = async (engines, { recordingId }, run) =>
  await takeAndShow(engines, recordingId, run)
