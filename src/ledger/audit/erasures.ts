import type { EntryId } from '../../base/ids.ts'
import type { Db } from '../../engines/postgres.ts'
import { type Body, type ErasureNamed, isTextOf, membersOf, saidBy } from './body.ts'
import { bodiesOf, leafDataOf, sequencedOf } from './database-queries.ts'

const isId = (id: unknown): id is EntryId =>
  typeof id === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)

const says = ({ id, entry, salt }: Body, leaf: Buffer, of: EntryId): boolean => {
  if (entry === null || salt === null || !isTextOf(leaf, salt, entry)) return false
  const said = saidBy(entry)
  const subject = membersOf(said.subject)
  return said.id === id && said.operation === 'erasure' && subject.type === 'entry' && subject.id === of
}

/** Those of the erasures for which there is no entry that says so, and that is in the log or on its way there. */
export const unprovenOf = async (db: Db, named: readonly ErasureNamed[]): Promise<ErasureNamed[]> => {
  const ids = named.map(({ erasure }) => erasure).filter(isId)
  if (named.length === 0) return []
  const [leaves, bodies, sequenced] = await Promise.all([leafDataOf(db, ids), bodiesOf(db, ids), sequencedOf(db, ids)])
  return named.filter(({ of, erasure }) => {
    const [leaf, body] = [leaves.get(erasure), bodies.get(erasure)]
    return leaf === undefined || body === undefined || !sequenced.has(erasure) || !says(body, leaf, of)
  })
}
