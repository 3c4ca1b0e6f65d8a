import type { Handler } from '../src/jobs/catalogue.ts'
import { giveUpRenditions, takeAndShow } from '../src/renditions/actions.ts'

const take: Handler<'take-into-custody'> = async (engines, { recordingId }, run) =>
  await takeAndShow(engines, recordingId, run)

/** It makes the first renditions too. */
export const takeIntoCustody: Handler<'take-into-custody'> = Object.assign(take, { whenFailed: giveUpRenditions })
