import { openCheckpoint } from '../../base/checkpoint.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Given } from '../audit/witnessed.ts'
import { isSilent, seenByWitnesses } from '../cosigning/asking.ts'
import { logKeyOf } from '../log/log.ts'
import { storedNotes, witnessedNotes } from '../log/published.ts'
import { newestCheckpointRow } from '../log/queries.ts'
import { NotRecovered } from './not-recovered.ts'

/** A checkpoint that the log signed, and who holds it. */
export type Known = { holder: string; size: number; root: Buffer; note: string }

/** `unasked` are the names of witnesses that did not show what they have seen. */
export type AllKnown = { checkpoints: Known[]; unasked: string[] }

const ofStore = async ({ store }: Pick<Engines, 'store'>, log: LogRow): Promise<Known[]> => {
  const notes = [...(await storedNotes(store, log)), ...(await witnessedNotes(store, log))]
  return notes.map(({ key, head, note }) => {
    if (head === null)
      throw new NotRecovered(
        `${key} in the ledger bucket is not signed by this log (${log.origin}). Nothing was changed. Is it the bucket of this installation? Run \`exhibit ledger audit\`.`,
      )
    return { holder: `${key} in the ledger bucket`, size: head.size, root: head.root, note }
  })
}

const ofWitnesses = async (engines: Pick<Engines, 'config' | 'db'>, log: LogRow): Promise<AllKnown> => {
  const found: AllKnown = { checkpoints: [], unasked: [] }
  for (const one of await seenByWitnesses(engines, log)) {
    const { witness, note, head } = one
    const { name } = witness.key
    if (head !== null) found.checkpoints.push({ holder: `The witness ${name}`, ...head, note: note ?? '' })
    if (isSilent(one)) found.unasked.push(name)
  }
  return found
}

const ofOthers = (given: readonly Given[], log: LogRow): Known[] =>
  given.map(({ object, note }) => {
    const head = openCheckpoint(note, logKeyOf(log))
    if (head === null)
      throw new NotRecovered(`${object} is not signed by this log (${log.origin}). Nothing was changed.`)
    return { holder: object, size: head.size, root: head.root, note }
  })

/** Every checkpoint of the log that can be found, the smallest first. Throws NotRecovered, `store-unavailable`. */
export const allKnown = async (
  engines: Pick<Engines, 'config' | 'db' | 'store'>,
  log: LogRow,
  given: readonly Given[],
): Promise<AllKnown> => {
  const row = await newestCheckpointRow(engines.db, log.number)
  const own = row === undefined ? [] : [{ holder: 'The database', size: row.size, root: row.root, note: row.note }]
  const stored = await ofStore(engines, log)
  const { checkpoints, unasked } = await ofWitnesses(engines, log)
  const all = [...own, ...stored, ...checkpoints, ...ofOthers(given, log)]
  return { checkpoints: all.toSorted((a, b) => a.size - b.size), unasked }
}
