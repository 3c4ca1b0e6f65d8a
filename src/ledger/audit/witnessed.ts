import { cosignedAt, openCheckpoint, parseCheckpointText } from '../../base/checkpoint.ts'
import { isLineOf, type NoteKey, parseNote, parseVkey } from '../../base/note.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import { isSilent, type Seen } from '../cosigning/asking.ts'
import type { PublishedNote } from '../log/published.ts'
import type { Claim } from './claims.ts'
import { cosignatureRows } from './database-queries.ts'
import type { Findings } from './finding.ts'

const batchRows = 1000

const isCosigned = (note: string, key: NoteKey): boolean => {
  const signed = parseNote(note)
  const own = signed?.signatures.filter((each) => isLineOf(each, key)) ?? []
  return own.length > 0 && own.every((each) => cosignedAt(signed?.text ?? '', each, key) !== null)
}

const isBy = (note: string, line: string, witness: string): boolean => {
  const key = parseVkey(witness)
  return key !== null && isCosigned(`${note}${line}`, key)
}

/** Verifies every cosignature in the database, under the key that it is kept as. */
export const checkCosignatures = async (db: Db, { number }: LogRow, findings: Findings): Promise<number> => {
  let checked = 0
  for (let after = { size: 0, witness: '' }; ; ) {
    const rows = await cosignatureRows(db, number, after, batchRows)
    for (const { size, witness, line, note } of rows) {
      checked += 1
      if (!isBy(note, line, witness)) findings.note('cosignature-wrong', number, { size, object: witness })
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < batchRows) return checked
    after = last
  }
}

/** What the checkpoints claim that the store holds; what of it is not by this log is noted, and claims nothing. */
export const storedClaims = (
  log: number,
  notes: readonly PublishedNote[],
  as: 'stored-checkpoint' | 'witnessed',
  findings: Findings,
): Claim[] =>
  notes.flatMap(({ key, head }) => {
    if (head !== null) return [{ kind: `${as}-root`, object: key, size: head.size, root: head.root }]
    findings.note(`${as}-unsigned`, log, { object: key })
    return []
  })

const isOfOrigin = (note: string, origin: string): boolean =>
  parseCheckpointText(parseNote(note)?.text ?? '')?.origin === origin

/** What the witnesses themselves show of a log, and the names of those that do not say what they have seen. */
export const shownClaims = (
  { number, origin }: LogRow,
  seen: readonly Seen[],
  findings: Findings,
): { shown: Claim[]; unasked: string[] } => {
  const shown: Claim[] = []
  const unasked: string[] = []
  for (const one of seen) {
    const { witness, note, head } = one
    const { name } = witness.key
    if (head !== null) shown.push({ kind: 'witnessed-root', object: name, size: head.size, root: head.root })
    else if (typeof note === 'string' && isOfOrigin(note, origin) && isCosigned(note, witness.key)) {
      findings.note('witnessed-unsigned', number, { object: name })
      continue
    }
    if (isSilent(one)) unasked.push(name)
  }
  return { shown, unasked }
}

/** A checkpoint that an outsider kept. */
export type Given = { object: string; note: string }

/** What the given checkpoints claim of this log, by its signature. */
export const givenClaims = (given: readonly Given[], key: NoteKey): Claim[] =>
  given.flatMap(({ object, note }) => {
    const head = openCheckpoint(note, key)
    return head === null ? [] : [{ kind: 'given-root', object, size: head.size, root: head.root }]
  })
