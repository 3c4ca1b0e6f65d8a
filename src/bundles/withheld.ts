import type { BundleId, CaseId } from '../base/ids.ts'
import type { Problem } from '../base/problem.ts'
import type { BundleRow } from '../engines/bundle-tables.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import { whyNotGiven } from './bundle.ts'
import { bundleById, exhibitsInside, sensitiveOf } from './queries.ts'

type Made = Pick<BundleRow, 'id' | 'state' | 'includeOriginals'>

/** Of the bundles of a case that were made, those that are given out no more, and why. */
export const withheldOf = async (
  db: Db | Tx,
  id: CaseId,
  bundles: readonly Made[],
): Promise<Map<BundleId, Problem>> => {
  const made = bundles.filter(({ state }) => state === 'ready')
  const inside = await exhibitsInside(
    db,
    id,
    made.map((bundle) => bundle.id),
  )
  const sensitive = await sensitiveOf(db, id, [...new Set(inside.map(({ recording }) => recording))])
  const exhibits = Map.groupBy(inside, ({ bundle }) => bundle)
  return new Map(
    made.flatMap((bundle) => {
      const problem = whyNotGiven(exhibits.get(bundle.id) ?? [], sensitive, bundle.includeOriginals)
      return problem === undefined ? [] : [[bundle.id, problem] as const]
    }),
  )
}

/** Why a bundle that was made is given out no more; undefined where it still is. */
export const whyWithheldNow = async (db: Db | Tx, id: BundleId): Promise<Problem | undefined> => {
  const bundle = await bundleById(db, id)
  if (bundle === undefined) throw new Error('there is no such bundle')
  return (await withheldOf(db, bundle.case, [bundle])).get(id)
}
