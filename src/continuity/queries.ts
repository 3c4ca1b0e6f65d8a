import { sql } from 'kysely'
import type { CaseId, ClipId, DockId, EntryId, PersonId, RecordingId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { EntryRow } from './act.ts'

type Related = {
  kind: 'recording' | 'upload' | 'clip' | 'exhibit' | 'bundle'
  id: string
  case: CaseId | null
  clip: ClipId | null
}

/** All that entries of a recording's story may be about, besides itself. Second objects of the same file are among it. */
export const relatedTo = async (db: Db | Tx, recording: RecordingId): Promise<Related[]> => {
  const { rows } = await sql<Related>`
    with source as materialized (select id, upload, camera, size, sha256 from recordings where id = ${recording}),
      second as materialized (
        select other.id, other.upload from source join recordings other using (camera, size, sha256)
        where other.duplicate_of = source.id)
    select 'upload' as kind, upload::text as id, null::uuid as "case", null::uuid as clip from source
    union all select 'recording', id::text, null, null from second
    union all select 'upload', upload::text, null, null from second
    union all select 'clip', id::text, null, id from clips where recording = ${recording}
    union all select 'exhibit', id::text, "case", clip from exhibits where recording = ${recording}
    union all select 'bundle', bundles.id::text, bundles."case", bundle_exhibits.clip
      from bundle_exhibits join bundles on bundles.id = bundle_exhibits.bundle
      where bundle_exhibits.recording = ${recording}`.execute(db)
  return rows
}

type Place = { id: EntryId; about: string }

type Range = { after: EntryId | undefined; until: EntryId; limit: number }

/**
 * The next entries about any of these subjects, oldest first: those that still say so, the erasures of what others said, and
 * those whose bodies are gone. Each subject is asked for by index, and for no more than `limit`. Of entries that name another
 * clip than `clip`, where one is given, none is answered.
 */
export const nextEntries = async (
  db: Db,
  subjects: readonly string[],
  clip: ClipId | null,
  { after, until, limit }: Range,
): Promise<Place[]> => {
  const from = after ?? '00000000-0000-0000-0000-000000000000'
  const ofClip =
    clip === null ? sql`true` : sql`coalesce(b.parts #>> '{detail,value,clip}', ${clip}::text) = ${clip}::text`
  const { rows } = await sql<Place>`
    select found.id, min(found.subject) as about from unnest(${subjects}::text[]) as s (subject) cross join lateral (
      (select b.id, s.subject from entry_bodies b
        where b.subject_id = s.subject and b.id > ${from}::uuid and b.id <= ${until}::uuid and ${ofClip}
        order by b.id limit ${limit})
      union all
      (select e.erasure, s.subject from entry_erasures e
        where e.subject_id = s.subject and e.erasure > ${from}::uuid and e.erasure <= ${until}::uuid
        order by e.erasure limit ${limit})
      union all
      (select e.entry, s.subject from entry_erasures e
        where e.subject_id = s.subject and e.part = 'body' and e.entry > ${from}::uuid and e.entry <= ${until}::uuid
        order by e.entry limit ${limit})
    ) as found
    group by found.id order by found.id limit ${limit}`.execute(db)
  return rows
}

/** The newest entry about any of these subjects, or by which something that was said of them was erased. */
export const newestEntry = async (db: Db, subjects: readonly string[]): Promise<EntryId | undefined> => {
  const { rows } = await sql<{ id: EntryId }>`
    select found.id from unnest(${subjects}::text[]) as s (subject) cross join lateral (
      (select b.id from entry_bodies b where b.subject_id = s.subject order by b.id desc limit 1)
      union all
      (select e.erasure from entry_erasures e where e.subject_id = s.subject order by e.erasure desc limit 1)
    ) as found
    order by found.id desc limit 1`.execute(db)
  return rows[0]?.id
}

/** These entries, with what is left of their bodies. */
export const entriesBy = async (db: Db, ids: readonly EntryId[]): Promise<Map<EntryId, EntryRow>> => {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('entries')
    .innerJoin('entryBodies', 'entryBodies.id', 'entries.id')
    .select(['entries.id', 'leaf', 'entry', 'salt', 'parts', 'erased'])
    .where('entries.id', 'in', ids)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** The cases that this person is a member of. */
export const memberships = async (db: Db | Tx, person: PersonId): Promise<Set<string>> => {
  const rows = await db.selectFrom('caseMembers').select('case').where('person', '=', person).execute()
  return new Set(rows.map((row) => row.case))
}

export const namesOfPeople = async (db: Db, ids: readonly PersonId[]): Promise<{ id: string; name: string }[]> =>
  ids.length === 0 ? [] : await db.selectFrom('people').select(['id', 'name']).where('id', 'in', ids).execute()

export const namesOfDocks = async (db: Db, ids: readonly DockId[]): Promise<{ id: string; name: string }[]> =>
  ids.length === 0 ? [] : await db.selectFrom('docks').select(['id', 'name']).where('id', 'in', ids).execute()
