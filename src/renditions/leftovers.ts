import type { RecordingId, RenditionId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { forgetLeftover, leftoversNobodyMakes } from './queries.ts'
import { renditionPrefix } from './rendition.ts'

/** Deletes what lies under ids that no rendition will ever have again. Repeatable, by whoever and whenever. */
export const clearAway = async (
  { db, store }: Engines,
  recording: RecordingId,
  dead: readonly RenditionId[],
): Promise<void> => {
  for (const id of dead) {
    const prefix = renditionPrefix(recording, id)
    for (let keys = await store.list('derived', prefix); keys.length > 0; ) {
      for (const key of keys) await store.delete('derived', key)
      keys = await store.list('derived', prefix)
    }
    await forgetLeftover(db, id)
  }
}

const batch = 100

/** Deletes what was left by attempts that were cut off, and that no later attempt came to find. */
export const clearLeftovers = async (engines: Engines, signal: AbortSignal): Promise<number> => {
  const left = await leftoversNobodyMakes(engines.db, batch)
  let cleared = 0
  for (const { recording, rendition } of left) {
    if (signal.aborted) break
    await clearAway(engines, recording, [rendition])
    cleared += 1
  }
  return cleared
}
