import { buffer } from 'node:stream/consumers'
import { vkeyOf } from '../base/note.ts'
import { iso } from '../base/time.ts'
import type { Act } from '../continuity/act.ts'
import { checkInBundle } from '../continuity/checking.ts'
import { factsAbout, type Subject } from '../continuity/facts.ts'
import type { LogView } from '../continuity/log-view.ts'
import { everyPart, type Sight } from '../continuity/sight.ts'
import { statementPdf } from '../continuity/statement.ts'
import { allActs, beyondAll, placesIn, scopeOf, type Telling } from '../continuity/story.ts'
import type { Db } from '../engines/postgres.ts'
import { allLogs, logKeyOf } from '../ledger/log/log.ts'
import type { Contents, ContentsOfExhibit } from './contents.ts'
import type { ProvenEntry } from './proven.ts'
import type { Chosen } from './queries.ts'

/** In which logs acts of the stories stand that the statements tell, by their numbers: also acts that are not disclosed. */
export const logsOfStories = async (db: Db, { exhibits }: Contents): Promise<Set<number>> => {
  const logs = new Set<number>()
  for (const { held, clip } of exhibits) {
    const scope = await scopeOf(db, held.recording.id, clip?.id ?? null)
    for await (const places of placesIn(db, scope)) for (const { log } of places) logs.add(log)
  }
  return logs
}

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

/** The origins of the logs that had ended when the heads were chosen: nothing came into them afterwards. */
const endedBefore = async (db: Db, newest: Chosen): Promise<Set<string>> =>
  new Set((await allLogs(db)).filter(({ number }) => number < newest.log).map(({ origin }) => origin))

/**
 * What was done after the heads were signed is told in no file of the bundle: the same bytes, whenever it is made. That
 * stands in the log that grew, or in a later one. Throws where an act is in one that had ended and is under none of the heads:
 * a statement that says it tells every act leaves none out.
 */
async function* underHeads(db: Db, telling: Telling, ended: ReadonlySet<string>): AsyncGenerator<Act[]> {
  for await (const acts of allActs(db, telling)) {
    for (const { origin, index, underCheckpoint } of acts) {
      if (origin !== null && !underCheckpoint && ended.has(origin))
        throw new Error(
          `the act at place ${index} of ${origin} is under no head that was chosen for this bundle; ask for a new one`,
        )
    }
    yield acts.filter(({ underCheckpoint }) => underCheckpoint)
  }
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
    ...{ facts, logs: logViews(chosen), see: sightOfReader(entries), until: beyondAll, named: false },
  }
  const statement = {
    ...{ subject, facts, holder, logs: telling.logs, entry: bundle.entry },
    madeAt: iso(head.at),
    madeFor: bundle.recipient,
    until: 'the head of the log that is given below was signed',
    checking: checkInBundle(),
  }
  return await buffer(statementPdf(statement, underHeads(db, telling, await endedBefore(db, head))))
}
