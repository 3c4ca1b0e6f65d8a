import type { Handler } from '../src/jobs/catalogue.ts'
import { giveUpRenditions, makeOwed } from '../src/renditions/actions.ts'

const make: Handler<'make-renditions'> = async (engines, { recordingId }, run) =>
  await makeOwed(engines, recordingId, run)

export const makeRenditions: Handler<'make-renditions'> = Object.assign(make, { whenFailed: giveUpRenditions })
