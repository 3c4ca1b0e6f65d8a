import type { EntryId } from '../../base/ids.ts'
import type { Db } from '../../engines/postgres.ts'
import { type About, type Body, type ErasureNamed, isId, type Taken, takenBy } from './body.ts'
import { bodiesOf, type ErasureRow, erasureRows, erasureRowsOf, leafDataOf, sequencedOf } from './database-queries.ts'
import type { Findings } from './finding.ts'
import type { Kind } from './kinds.ts'

export type Erasures = { named: readonly ErasureNamed[]; taken: readonly Taken[] }

type Note = (kind: Kind, where: { entry: EntryId; part: string; says: string }) => void

const isSame = (row: ErasureRow | undefined, { of, part }: ErasureNamed, about: About | undefined): boolean => {
  if (row === undefined) return about === null || about === undefined
  if (row.entry !== of || row.part !== part) return false
  return about === undefined || (row.type === about?.type && row.id === about.id)
}

/** What bodies say was erased, against the entries of the erasures and against `entry_erasures`. */
const proveNamed = async (db: Db, named: readonly ErasureNamed[], note: Note): Promise<void> => {
  const ids = named.map(({ erasure }) => erasure).filter(isId)
  const [leaves, bodies, sequenced, rows] = await Promise.all([
    leafDataOf(db, ids),
    bodiesOf(db, ids),
    sequencedOf(db, ids),
    erasureRowsOf(db, ids),
  ])
  const takenOf = (erasure: EntryId): Taken | null => takenBy(bodies.get(erasure), leaves.get(erasure))
  const whole = new Map(named.flatMap(({ of, part, erasure }) => (part === 'body' ? [[of, erasure] as const] : [])))
  for (const one of named) {
    const { of, part, erasure } = one
    const taken = sequenced.has(erasure) ? takenOf(erasure) : null
    if (taken?.of !== of || taken.part !== part) {
      note('erasure-unproven', { entry: of, part, says: `it names ${erasure}` })
      continue
    }
    const emptied = whole.get(of)
    const about = one.about ?? (emptied === undefined ? one.about : takenOf(emptied)?.about)
    if (!isSame(rows.get(erasure), one, about))
      note('erasures-differ', { entry: of, part, says: `of the erasure ${erasure}` })
  }
}

const isThere = ({ entry, parts }: Body, part: string): boolean =>
  part === 'body' ? entry !== null : Object.hasOwn(parts, part)

/** What the entries of erasures say was taken, against the bodies that it was taken from. */
const proveTaken = async (db: Db, taken: readonly Taken[], note: Note): Promise<void> => {
  const ids = taken.map(({ of }) => of)
  const bodies = await bodiesOf(db, ids)
  for (const { erasure, of, part } of taken) {
    const body = bodies.get(of)
    if (body !== undefined && body.erased?.[part] === undefined && isThere(body, part))
      note('erasure-not-done', { entry: of, part, says: `${erasure} took it` })
  }
}

/** Holds what some bodies and some erasures say of each other against what there is. */
export const proveErasures = async (db: Db, { named, taken }: Erasures, note: Note): Promise<void> => {
  if (named.length > 0) await proveNamed(db, named, note)
  if (taken.length > 0) await proveTaken(db, taken, note)
}

const batchRows = 4096

/** Rows of `entry_erasures` of which the body of the entry says nothing. */
export const auditErasureRows = async (db: Db, findings: Findings): Promise<void> => {
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const rows = await erasureRows(db, after, batchRows)
    for (const { erasure, entry, part, named } of rows)
      if (named !== erasure)
        findings.note('erasures-differ', null, { entry, part, says: `the entry names no erasure ${erasure}` })
    const last = rows.at(-1)
    if (last === undefined || rows.length < batchRows) return
    after = last.erasure
  }
}
