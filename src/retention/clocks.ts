import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { databaseNow } from './purge-queries.ts'

/**
 * Why nothing may be destroyed by this process's clock: the database's or the store's shows another time. Undefined when the
 * three agree. Throws `store-unavailable`.
 */
export const clocksInWords = async ({ clock, config, db, store }: Engines): Promise<string | undefined> => {
  const tolerated = config.PURGE_CLOCK_MINUTES * 60_000
  const others = { database: await databaseNow(db), store: await store.now() }
  for (const [name, theirs] of Object.entries(others)) {
    const ours = clock.now()
    if (Math.abs(ours.getTime() - theirs.getTime()) > tolerated)
      return `Nothing was hidden and nothing erased: by the clock here it is ${iso(ours)}, by the ${name}'s ${iso(theirs)}. Set the clocks, and start a purge again.`
  }
  return undefined
}
