import type { Readable } from 'node:stream'
import { csvLines, csvMark } from '../../base/csv.ts'
import type { EntryId } from '../../base/ids.ts'
import { begun } from '../../engines/begun.ts'
import type { Engines } from '../../engines/engines.ts'
import { inTransaction } from '../../engines/postgres.ts'
import type { Actor } from '../entry.ts'
import { record } from '../record.ts'
import { columns, type EntriesAsked, filterOf, lineOf, viewOf } from './entries.ts'
import {
  type EntryFilter,
  type EntryRow,
  entryRows,
  findEntries,
  leadBy,
  newestEntry,
  type Walk,
  walkByIndex,
} from './queries.ts'

type Reached = Pick<Engines, 'db' | 'clock' | 'log'>

/** Entries that are in memory at once, of one export. */
const batchSize = 500

const texts = {
  jsonl: { head: '', of: (rows: EntryRow[]) => rows.map((row) => `${JSON.stringify(viewOf(row))}\n`).join('') },
  csv: { head: csvMark + csvLines([columns]), of: (rows: EntryRow[]) => csvLines(rows.map(lineOf)) },
}
export type ExportFormat = keyof typeof texts

type AllThatMatches = { filter: EntryFilter; upTo: EntryId; signal: AbortSignal }

/**
 * Nothing is held between two batches, no connection either: a reader may be as slow as it likes. The signal says that nobody
 * reads any more.
 */
async function* batches({ db }: Reached, { filter, upTo, signal }: AllThatMatches) {
  const whole = { order: 'oldest first', filter, upTo } as const
  let walk: Walk | undefined
  do {
    if (signal.aborted) return
    const { rows, after, lead } = await inTransaction(db, async (tx) => {
      await walkByIndex(tx)
      const begun: Walk = walk ?? (await leadBy(tx, whole))
      const found = await findEntries(tx, begun, batchSize)
      return { rows: await entryRows(tx, found.ids), after: found.after, lead: begun.lead }
    })
    walk = { ...whole, lead, after }
    if (rows.length > 0) yield rows
  } while (walk.after !== undefined)
}

async function* textOf(reached: Reached, id: EntryId, format: ExportFormat, walk: AllThatMatches) {
  const began = performance.now()
  const { of } = texts[format]
  let { head } = texts[format]
  let entries = 0
  let complete = false
  try {
    for await (const batch of batches(reached, walk)) {
      entries += batch.length
      yield head + of(batch)
      head = ''
    }
    if (head !== '') yield head
    complete = !walk.signal.aborted
  } finally {
    const facts = { export: id, entries, complete, ms: Math.round(performance.now() - began) }
    reached.log.info(facts, complete ? 'an export of entries ended' : 'an export of entries broke off')
  }
}

/**
 * Everything that matches and was there when it began, oldest first, as text that comes in pieces. That it was asked for is
 * an entry (`id`) before the first of them. The stream breaks rather than end early, and closing it, or the signal, ends the
 * reading. What keeps the first piece from coming is thrown. Throws `bad-request` for a time that does not exist.
 */
export const exportEntries = async (
  reached: Reached,
  by: Actor,
  format: ExportFormat,
  asked: EntriesAsked,
  signal: AbortSignal,
): Promise<{ id: EntryId; body: Readable }> => {
  const { db, clock } = reached
  const filter = filterOf(asked)
  const { id, upTo } = await inTransaction(db, async (tx) => {
    const newest = await newestEntry(tx)
    const made = await record(tx, clock, {
      operation: 'consultation',
      action: 'entries.exported',
      subject: { type: 'entries', id: 'ledger' },
      actor: by,
      detail: { query: filter, format, upTo: newest },
    })
    return { id: made, upTo: newest ?? made }
  })
  const closed = new AbortController()
  const text = textOf(reached, id, format, { filter, upTo, signal: AbortSignal.any([signal, closed.signal]) })
  return { id, body: await begun(text, closed) }
}
