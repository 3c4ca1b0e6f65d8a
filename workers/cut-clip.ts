import { cutClip as cut } from '../src/clips/cut.ts'
import type { Handler } from '../src/jobs/catalogue.ts'

export const cutClip: Handler<'cut-clip'> = async (engines, { clipId }, run) => await cut(engines, clipId, run)
