import { openCheckpoint } from '../../base/checkpoint.ts'
import type { NoteKey } from '../../base/note.ts'
import type { Db } from '../../engines/postgres.ts'
import { checkpointRows } from './database-queries.ts'
import type { Findings } from './finding.ts'
import type { Kind } from './kinds.ts'

/** That the tree of `size` leaves has this root, by whoever `object` names. `kind` is what it is when it has not. */
export type Claim = { kind: Kind; object: string; size: number; root: Buffer }

const batchRows = 1000

/** Claims in the order of their sizes, up to a size that only grows from call to call. */
export type Claims = { upTo(size: number): Promise<Claim[]> }

/** A few claims that are known. */
export const claimsOf = (known: readonly Claim[]): Claims => {
  const left = known.toSorted((a, b) => a.size - b.size)
  return {
    upTo: async (size) => {
      const until = left.findIndex((claim) => claim.size > size)
      return left.splice(0, until === -1 ? left.length : until)
    },
  }
}

/** The rows of the table checkpoints up to `last`, whose signatures are verified on the way. */
export const rowClaims = (db: Db, log: number, key: NoteKey, last: number, findings: Findings): Claims => {
  let read: Claim[] = []
  let after = 0
  const more = async (): Promise<void> => {
    const rows = after < last ? await checkpointRows(db, log, after, batchRows) : []
    after = rows.length < batchRows ? last : (rows.at(-1)?.size ?? last)
    for (const { size, root, note } of rows) {
      if (size > last) continue
      const head = openCheckpoint(note, key)
      if (head?.size !== size || !head.root.equals(root)) findings.note('checkpoint-unsigned', log, { size })
      read.push({ kind: 'checkpoint-root', object: 'checkpoints', size, root })
    }
  }
  return {
    upTo: async (size) => {
      while (after < last && (read.at(-1)?.size ?? 0) <= size) await more()
      const until = read.findIndex((claim) => claim.size > size)
      const due = read.slice(0, until === -1 ? read.length : until)
      read = read.slice(due.length)
      return due
    },
  }
}

/** What `several` claim together. */
export const together = (...several: Claims[]): Claims => ({
  upTo: async (size) => (await Promise.all(several.map(async (claims) => await claims.upTo(size)))).flat(),
})
