import type { RecordingId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { sidecarPrefix } from './sidecar.ts'

type Reached = Pick<Engines, 'store'>

const pageSize = 1000

/** Keys of all that is kept beside an original. */
export const sidecarObjects = async ({ store }: Reached, id: RecordingId): Promise<string[]> => {
  const keys: string[] = []
  for (;;) {
    const page = await store.list('derived', sidecarPrefix(id), keys.at(-1))
    keys.push(...page)
    if (page.length < pageSize) return keys
  }
}

/** Deletes it, and asks again. Throws where the store still has some of it. */
export const clearSidecar = async (engines: Reached, id: RecordingId): Promise<void> => {
  for (const key of await sidecarObjects(engines, id)) await engines.store.delete('derived', key)
  const left = await sidecarObjects(engines, id)
  if (left.length > 0) throw new Error(`the store still has ${left.length} objects that it was asked to delete`)
}
