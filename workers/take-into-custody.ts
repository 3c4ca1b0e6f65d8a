import { takeIntoCustody as take } from '../src/custody/take.ts'
import type { Handler } from '../src/jobs/catalogue.ts'

export const takeIntoCustody: Handler<'take-into-custody'> = async (engines, { recordingId }, run) =>
  await take(engines, recordingId, run)
