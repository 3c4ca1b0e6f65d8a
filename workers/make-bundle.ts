import { makeBundle as make } from '../src/bundles/make.ts'
import type { Handler } from '../src/jobs/catalogue.ts'

export const makeBundle: Handler<'make-bundle'> = async (engines, { bundleId }, run) =>
  await make(engines, bundleId, run)
