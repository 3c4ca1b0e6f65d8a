import { Value } from 'typebox/value'
import {
  type CaseId,
  type ClipId,
  type DockId,
  type EntryId,
  IdOf,
  type PersonId,
  type RecordingId,
} from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import { type Place, placesOf } from '../ledger/log/proofs.ts'
import { type Act, actOf, type EntryRow, type Standing } from './act.ts'
import type { Facts } from './facts.ts'
import type { LogView } from './log-view.ts'
import { entriesBy, namesOfDocks, namesOfPeople, newestEntry, nextEntries, relatedTo } from './queries.ts'
import type { Sight } from './sight.ts'
import { textAt } from './telling.ts'

/** What the entries of a story are about, and in which cases. */
export type Scope = { clip: ClipId | null; subjects: readonly string[]; caseOf: ReadonlyMap<string, CaseId> }

/**
 * A recording's story is that of its uploads, its clips, and of what it and they became in cases; a clip's that of itself
 * and of its recording, without what concerns other clips alone.
 */
export const scopeOf = async (db: Db | Tx, recording: RecordingId, clip: ClipId | null): Promise<Scope> => {
  const related = await relatedTo(db, recording)
  const mine = related.filter((each) => clip === null || each.clip === null || each.clip === clip)
  const inCases = related.flatMap((each) => (each.case === null ? [] : [[each.id, each.case] as const]))
  return { clip, subjects: [...new Set([recording, ...mine.map(({ id }) => id)])], caseOf: new Map(inCases) }
}

/** How a story is told: to whom, up to which entry, and under which heads of the log. `named`: people by their names. */
export type Telling = {
  scope: Scope
  facts: Facts
  logs: readonly LogView[]
  see: Sight
  until: EntryId
  named: boolean
}

/** The last id that can be born in the millisecond of this one: within one, those of several processes are in no order. */
export const endOfMoment = (id: EntryId): EntryId => `${id.slice(0, 13)}-7fff-bfff-ffffffffffff` as EntryId

const isPersonId = (id: string): id is PersonId => Value.Check(IdOf.person, id)
const isDockId = (id: string): id is DockId => Value.Check(IdOf.dock, id)

const namesIn = async (db: Db, rows: Iterable<EntryRow>): Promise<Map<string, string>> => {
  const ids = { person: new Set<string>(), dock: new Set<string>() }
  for (const { parts } of rows) {
    const [kind, id] = [textAt(parts.actor?.value, 'kind'), textAt(parts.actor?.value, 'id')]
    if ((kind === 'person' || kind === 'dock') && id !== undefined) ids[kind].add(id)
  }
  const found = [
    ...(await namesOfPeople(db, [...ids.person].filter(isPersonId))),
    ...(await namesOfDocks(db, [...ids.dock].filter(isDockId))),
  ]
  return new Map(found.map(({ id, name }) => [id, name]))
}

const atOnce = 100

const nowhere: Omit<Standing, 'leaf'> = { origin: null, index: null, underCheckpoint: false }

/**
 * Up to where a story is told that is read now: up to the reading, or an act that is there already and that another clock gave
 * a later id.
 */
export const untilNow = async (db: Db, { subjects }: Scope, reading: EntryId): Promise<EntryId> => {
  const newest = await newestEntry(db, subjects)
  return endOfMoment(newest !== undefined && newest > reading ? newest : reading)
}

/**
 * How far a story was told: to the last act whose id the reader was told (none before the first), and so many acts on. The id
 * of an act tells when it was, to the millisecond: that of a withheld one is never given.
 */
export type Told = { known: EntryId | undefined; on: number }

const fromBegin: Told = { known: undefined, on: 0 }

const toldBy = (acts: readonly Act[], before: Told): Told =>
  acts.reduce<Told>(
    ({ known, on }, act) => (act.shown === 'withheld' ? { known, on: on + 1 } : { known: act.entry, on: 0 }),
    before,
  )

/** The acts that follow, oldest first, `limit` at most; `next`: how far it is told then, null at the end. */
export const actsAfter = async (
  db: Db,
  { scope, facts, logs, see, until, named }: Telling,
  told: Told = fromBegin,
  limit: number = atOnce,
): Promise<{ acts: Act[]; next: Told | null }> => {
  const { known: after, on } = told
  const more = await nextEntries(db, scope.subjects, scope.clip, { after, until, limit: on + limit + 1 })
  const found = more.slice(on, on + limit)
  const ids = found.map(({ id }) => id)
  const rows = await entriesBy(db, ids)
  const places = await placesOf(db, ids)
  const names = named ? await namesIn(db, rows.values()) : new Map<string, string>()
  const standingOf = (id: EntryId): Omit<Standing, 'leaf'> => {
    const place = places.get(id)
    if (place === undefined) return nowhere
    const { origin, index } = place
    const size = logs.find((log) => log.origin === origin)?.checkpoint?.size ?? 0
    return { origin, index, underCheckpoint: index < size }
  }
  const acts = found.map(({ id, about }) => {
    const row = rows.get(id)
    if (row === undefined) throw new Error('an entry without its body')
    const around = {
      about,
      caseOf: scope.caseOf,
      nameOf: (_kind: string, who: string) => names.get(who) ?? null,
      standing: standingOf(id),
      source: facts.sha256,
    }
    return actOf(row, see, around)
  })
  return { acts, next: more.length > on + limit ? toldBy(acts, told) : null }
}

/** Beyond every entry: of a story that does not end at one. */
export const beyondAll = 'ffffffff-ffff-7fff-bfff-ffffffffffff' as EntryId

const placesAtOnce = 1000

/** Where the acts of a story stand in the log, so many at a time; of those that are no leaves yet, nothing. */
export async function* placesIn(db: Db, { subjects, clip }: Scope): AsyncGenerator<Place[]> {
  const range = { until: beyondAll, limit: placesAtOnce }
  for (let after: EntryId | undefined; ; ) {
    const found = await nextEntries(db, subjects, clip, { ...range, after })
    const ids = found.map(({ id }) => id)
    yield [...(await placesOf(db, ids)).values()]
    if (ids.length < placesAtOnce) return
    after = ids.at(-1)
  }
}

/** Every act of a story, oldest first, a hundred at a time: each read by itself, so that no transaction spans them. */
export async function* allActs(db: Db, telling: Telling): AsyncGenerator<Act[]> {
  for (let told: Told | undefined; ; ) {
    const { acts, next } = await actsAfter(db, telling, told)
    if (acts.length > 0) yield acts
    if (next === null) return
    told = next
  }
}
