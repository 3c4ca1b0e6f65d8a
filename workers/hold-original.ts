import type { Handler } from '../src/jobs/catalogue.ts'
import { holdOriginal as hold } from '../src/retention/holds.ts'

export const holdOriginal: Handler<'hold-original'> = async (engines, { recordingId }) =>
  await hold(engines, recordingId)
