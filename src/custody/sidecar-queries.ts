import { sql } from 'kysely'
import type { ClipId, EntryId, ExhibitId, RecordingId } from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { RecordingRow, UploadRow } from '../engines/tables.ts'

/** The recording, which stays as it is until the transaction ends; `erasing`: its objects are being deleted. */
export const recordingToKeep = async (
  tx: Tx,
  id: RecordingId,
): Promise<{ recording: RecordingRow; erasing: boolean } | undefined> => {
  const recording = await tx.selectFrom('recordings').selectAll().where('id', '=', id).forShare().executeTakeFirst()
  if (recording === undefined) return undefined
  const erasing = await tx
    .selectFrom('purgeItems')
    .select('state')
    .where('recording', '=', id)
    .where('state', '=', 'erasing')
    .executeTakeFirst()
  return { recording, erasing: erasing !== undefined }
}

/**
 * Nothing is owed from here on but what comes after. Of several attempts one goes on; the others wait until it has ended,
 * and so does whoever would owe it anew.
 */
export const takeSidecar = async (tx: Tx, recording: RecordingId): Promise<void> => {
  await tx
    .insertInto('sidecars')
    .values({ recording, owed: false, log: null, index: null, signedAt: null })
    .onConflict((oc) => oc.column('recording').doUpdateSet({ owed: false }))
    .execute()
}

type Kept = { log: number; index: number; signedAt: Date }

/** What the sidecar in the store holds by now; null: there is none. */
export const noteSidecar = async (tx: Tx, recording: RecordingId, kept: Kept | null): Promise<void> => {
  const { log, index, signedAt } = kept ?? { log: null, index: null, signedAt: null }
  await tx.updateTable('sidecars').set({ log, index, signedAt }).where('recording', '=', recording).execute()
}

export type Place = { id: EntryId; log: number; index: number; origin: string }

/** Every leaf about the recording, its upload, and what was erased of their entries, in the order of the logs. */
export const placesAbout = async (tx: Tx, { id, upload }: Pick<RecordingRow, 'id' | 'upload'>): Promise<Place[]> => {
  const subjects = [id, upload]
  const { rows } = await sql<Place>`
    select leaves.entry as id, leaves.log, leaves.index, logs.origin
    from (
      select id from entry_bodies where subject_id = any(${subjects}::text[])
      union select erasure from entry_erasures where subject_id = any(${subjects}::text[])
      union select entry from entry_erasures where subject_id = any(${subjects}::text[]) and part = 'body'
    ) as about join leaves on leaves.entry = about.id join logs on logs.number = leaves.log
    order by leaves.log, leaves.index`.execute(tx)
  return rows
}

export type Body = {
  id: EntryId
  entry: string | null
  salt: Buffer | null
  parts: SealedParts
  erased: Record<string, EntryId>
  leaf: Buffer
}

export const bodiesOf = async (tx: Tx, ids: readonly EntryId[]): Promise<Map<EntryId, Body>> => {
  if (ids.length === 0) return new Map()
  const rows = await tx
    .selectFrom('entryBodies')
    .innerJoin('entries', 'entries.id', 'entryBodies.id')
    .select(['entryBodies.id', 'entry', 'salt', 'parts', 'erased', 'leaf'])
    .where('entryBodies.id', 'in', ids)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

export type Facts = {
  upload: UploadRow
  receipt: string | undefined
  officer: string | undefined
  clips: ClipId[]
  exhibits: ExhibitId[]
}

/** What the catalogue knows of a recording beyond its own row. */
export const factsAbout = async (tx: Tx, { id, upload, camera, correctedAt }: RecordingRow): Promise<Facts> => {
  const assigned = await tx
    .selectFrom('assignments')
    .select('officer')
    .where('camera', '=', camera)
    .where(sql<boolean>`during @> ${correctedAt}::timestamptz`)
    .executeTakeFirst()
  const receipt = await tx.selectFrom('receipts').select('jws').where('upload', '=', upload).executeTakeFirst()
  const clips = await tx.selectFrom('clips').select('id').where('recording', '=', id).orderBy('id').execute()
  const exhibits = await tx.selectFrom('exhibits').select('id').where('recording', '=', id).orderBy('id').execute()
  return {
    upload: await tx.selectFrom('uploads').selectAll().where('id', '=', upload).executeTakeFirstOrThrow(),
    receipt: receipt?.jws,
    officer: assigned?.officer,
    clips: clips.map((clip) => clip.id),
    exhibits: exhibits.map((exhibit) => exhibit.id),
  }
}

/** How many sidecars are owed, `most` at most. */
export const owedSidecars = async (db: Db, most: number): Promise<number> => {
  const { rows } = await sql<{ owed: number }>`
    select count(*) as owed from (
      select from jobs where state in ('owed', 'working') and name = 'keep-sidecar' limit ${most}) as them`.execute(db)
  return rows[0]?.owed ?? 0
}

/** The next leaf to look at of each log, the oldest log first. Whoever asks is the only one until the transaction ends. */
export const positions = async (tx: Tx): Promise<{ log: number; next: number }[]> => {
  await sql`insert into sidecar_positions select number, 0 from logs on conflict do nothing`.execute(tx)
  return await tx.selectFrom('sidecarPositions').selectAll().orderBy('log').forUpdate().execute()
}

export const movePosition = async (tx: Tx, log: number, next: number): Promise<void> => {
  await tx.updateTable('sidecarPositions').set({ next }).where('log', '=', log).execute()
}

/**
 * The recordings that the next leaves of a log name, and where the leaves after those begin; null at the end of the log. What
 * was erased of an entry is about what that entry was about.
 */
export const recordingsNamed = async (
  tx: Tx,
  log: number,
  next: number,
  most: number,
): Promise<{ recordings: RecordingId[]; next: number } | null> => {
  const { rows } = await sql<{ recordings: RecordingId[]; last: number | null }>`
    with looked as materialized (
      select index, entry from leaves where log = ${log} and index >= ${next} order by index limit ${most}),
    said as materialized (
      select coalesce(erased.subject_type, body.subject_type) as type, coalesce(erased.subject_id, body.subject_id) as id
      from looked join entry_bodies body on body.id = looked.entry
        left join entry_erasures erased on erased.erasure = body.id),
    named as materialized (select type, id::uuid from said where pg_input_is_valid(id, 'uuid'))
    select (select max(index) from looked) as last, coalesce((
      select array_agg(id) from recordings where status <> 'received' and id in (
        select id from named where type = 'recording'
        union select recordings.id from named join recordings on named.type = 'upload' and recordings.upload = named.id
        union select exhibits.recording from named join exhibits on named.type = 'exhibit' and exhibits.id = named.id
      )), '{}') as recordings`.execute(tx)
  const [found] = rows
  return found === undefined || found.last === null ? null : { recordings: found.recordings, next: found.last + 1 }
}

/** Those of the recordings of which none was owed; from now on one is. */
export const markOwed = async (tx: Tx, recordings: readonly RecordingId[]): Promise<RecordingId[]> => {
  if (recordings.length === 0) return []
  const { rows } = await sql<{ recording: RecordingId }>`
    insert into sidecars (recording, owed) select id, true from unnest(${recordings}::uuid[]) as id order by id
    on conflict (recording) do update set owed = true where not sidecars.owed
    returning recording`.execute(tx)
  return rows.map(({ recording }) => recording)
}
