import type { UploadId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { type Budget, makeBudget } from './budget.ts'

/** What all uploads of one api process share: the memory, and who is writing. */
export type Ingest = {
  budget: Budget
  /** Ends the request that writes this upload now, waits until it is out, and answers the newcomer's own signal. */
  takePen(upload: UploadId): Promise<Pen>
  /** Ends all writers: the process stops. */
  stop(): void
}
type Pen = { signal: AbortSignal; layDown(): void }

/** Of the memory that uploads may cost; the rest is for their connections, and for what the runtime needs for them. */
const lentShare = 0.7

export const makeIngest = ({ config, metrics }: Pick<Engines, 'config' | 'metrics'>): Ingest => {
  const writing = new Map<UploadId, { end: AbortController; out: Promise<void> }>()
  const stopping = new AbortController()
  return {
    budget: makeBudget(config.INGEST_BUDGET_MIB * 1024 * 1024 * lentShare, metrics),
    takePen: async (upload) => {
      const end = new AbortController()
      const { promise: out, resolve } = Promise.withResolvers<void>()
      const before = writing.get(upload)
      const mine = { end, out }
      writing.set(upload, mine)
      before?.end.abort(new Problem('writer-replaced'))
      await before?.out
      return {
        signal: AbortSignal.any([end.signal, stopping.signal]),
        layDown: () => {
          if (writing.get(upload) === mine) writing.delete(upload)
          resolve()
        },
      }
    },
    stop: () => stopping.abort(new Problem('stopping', undefined, { retryAfter: 5 })),
  }
}
