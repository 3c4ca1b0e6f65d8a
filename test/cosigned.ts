import { cosignedAt } from '../src/base/checkpoint.ts'
import { parseNote, vkeyOf } from '../src/base/note.ts'
import type { LogRow } from '../src/engines/ledger-tables.ts'
import type { Db } from '../src/engines/postgres.ts'
import { parseWitnesses } from '../src/engines/witness-list.ts'
import { noteOf } from '../src/ledger/log/checkpoints.ts'
import { currentLog, logKeyOf } from '../src/ledger/log/log.ts'
import { newestCheckpointRow } from '../src/ledger/log/queries.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import type { TestEngines } from './engines.ts'
import { writeEntries } from './logged.ts'

/** The same engines with these witnesses, as LEDGER_WITNESSES has them. */
export const withWitnesses = <E extends TestEngines>(engines: E, ...entries: string[]): E => {
  const witnesses = parseWitnesses(entries.join(', '))
  if (witnesses === null) throw new Error('these are no witnesses')
  return { ...engines, config: { ...engines.config, LEDGER_WITNESSES: witnesses } }
}

export const logOf = async (db: Db): Promise<LogRow> => {
  const log = await currentLog(db)
  if (log === undefined) throw new Error('there is no log')
  return log
}

export const logVkey = async (db: Db): Promise<string> => vkeyOf(logKeyOf(await logOf(db)))

/** Writes so many entries and publishes them; answers the size of the newest checkpoint. */
export const grow = async (engines: TestEngines, entries: number): Promise<number> => {
  await writeEntries(engines, entries)
  await sequence(engines)
  return (await newestCheckpointRow(engines.db, 1))?.size ?? 0
}

/** The names of the witnesses whose lines stand, and verify, under the checkpoint of this size. */
export const cosigners = async ({ db, config }: TestEngines, size: number): Promise<string[]> => {
  const note = parseNote(await noteOf(db, 1, size))
  if (note === null) throw new Error('the note is not well formed')
  return config.LEDGER_WITNESSES.flatMap(({ key }) =>
    note.signatures.some((line) => cosignedAt(note.text, line, key) !== null) ? [key.name] : [],
  )
}

export const outcomes = async ({ metrics }: TestEngines, witness: string): Promise<Record<string, number>> => {
  const { values } = await metrics.cosignatures.get()
  return Object.fromEntries(
    values.filter(({ labels }) => labels.witness === witness).map(({ labels, value }) => [labels.outcome, value]),
  )
}
