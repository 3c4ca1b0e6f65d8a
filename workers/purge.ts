import type { Handler } from '../src/jobs/catalogue.ts'
import { runPurge } from '../src/retention/purge.ts'

export const purge: Handler<'purge'> = async (engines, { purgeId }, run) => await runPurge(engines, purgeId, run)
