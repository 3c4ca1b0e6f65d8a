import type { Handler } from '../src/jobs/catalogue.ts'
import { simulate } from '../src/retention/simulations.ts'

export const simulatePolicy: Handler<'simulate-policy'> = async (engines, { simulationId }, run) =>
  await simulate(engines, simulationId, run)
