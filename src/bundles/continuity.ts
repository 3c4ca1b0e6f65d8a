import { buffer } from 'node:stream/consumers'
import type { EntryId } from '../base/ids.ts'
import { vkeyOf } from '../base/note.ts'
import { iso } from '../base/time.ts'
import type { Act } from '../continuity/act.ts'
import { checkInBundle } from '../continuity/checking.ts'
import { factsAbout, type Subject } from '../continuity/facts.ts'
import type { LogView } from '../continuity/log-view.ts'
import { everyPart, type Sight } from '../continuity/sight.ts'
import { statementPdf } from '../continuity/statement.ts'
import { allActs, scopeOf, type Telling } from '../continuity/story.ts'
import type { Db } from '../engines/postgres.ts'
import { logKeyOf } from '../ledger/log/log.ts'
import type { Contents, ContentsOfExhibit } from './contents.ts'
import type { ProvenEntry } from './proven.ts'
import type { Chosen } from './queries.ts'

/** Beyond every entry: where a story ends, the heads decide. */
const last = 'ffffffff-ffff-7fff-bfff-ffffffffffff' as EntryId

/** A reader outside sees what is disclosed to them in this bundle; that something else was done, and where it stands. */
const sightOfReader = (entries: readonly ProvenEntry[]): Sight => {
  const told = new Map(entries.map((entry) => [entry.id, entry]))
  return (_act, id) => {
    const entry = told.get(id)
    if (entry === undefined) return 'withheld'
    return { parts: everyPart.filter((part) => entry.parts[part] !== undefined), words: entry.words }
  }
}

const logViews = (chosen: readonly Chosen[]): LogView[] =>
  chosen.map(({ origin, jwk, size, note }) => ({
    origin,
    vkey: vkeyOf(logKeyOf({ origin, jwk })),
    checkpoint: { size, note },
  }))

/** What was done after the heads were signed is told in no file of the bundle: the same bytes, whenever it is made. */
async function* underHeads(db: Db, telling: Telling): AsyncGenerator<Act[]> {
  for await (const acts of allActs(db, telling)) yield acts.filter(({ underCheckpoint }) => underCheckpoint)
}

/** The continuity statement of an exhibit for the reader of the bundle. The title of a clip is not theirs. */
export const exhibitStatement = async (
  db: Db,
  {
    contents,
    chosen,
    entries,
    holder,
  }: { contents: Contents; chosen: readonly Chosen[]; entries: readonly ProvenEntry[]; holder: string },
  { exhibit, held, clip }: ContentsOfExhibit,
): Promise<Buffer> => {
  const { bundle } = contents
  const subject: Subject = clip === null ? { type: 'recording', id: held.recording.id } : { type: 'clip', id: clip.id }
  const found = await factsAbout(db, subject, null)
  const [head] = chosen
  if (found === undefined || head === undefined) throw new Error('an exhibit without its footage, or without a head')
  const facts = { ...found, clip: found.clip === null ? null : { ...found.clip, title: exhibit.reference } }
  const telling = {
    scope: await scopeOf(db, facts.recording, clip?.id ?? null),
    ...{ facts, logs: logViews(chosen), see: sightOfReader(entries), until: last, named: false },
  }
  const statement = {
    ...{ subject, facts, holder, logs: telling.logs, entry: bundle.entry },
    madeAt: iso(head.at),
    madeFor: bundle.recipient,
    until: 'the head of the log that is given below was signed',
    checking: checkInBundle(),
  }
  return await buffer(statementPdf(statement, underHeads(db, telling)))
}
