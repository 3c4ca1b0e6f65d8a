import type { ClipId, Collar, RecordingId, RenditionId } from '../base/ids.ts'
import { officerThen } from '../docks/assignments.ts'
import type { BundleExhibitRow, BundleRow } from '../engines/bundle-tables.ts'
import type { Db } from '../engines/postgres.ts'
import type { ClipRow, RecordingRow, RenditionObjectRow, RenditionRow } from '../engines/tables.ts'
import { whole } from '../renditions/queries.ts'
import { playsInBrowsers } from './playing.ts'

/** A recording and what goes with it: whose camera it was, its receipt and, where a browser needs it, the form that plays. */
export type Held = {
  recording: RecordingRow
  officer: Collar | null
  receipt: string | null
  hls: { row: RenditionRow; pieces: RenditionObjectRow[] } | null
}

export type ContentsOfExhibit = { exhibit: BundleExhibitRow & { listedAt: Date }; held: Held; clip: ClipRow | null }

/** What a bundle is made of, exhibits in the order of their numbers, as the catalogue has it now. */
export type Contents = {
  bundle: BundleRow
  case: { reference: string; title: string }
  exhibits: ContentsOfExhibit[]
}

const recordingsWithOfficer = async (db: Db, ids: RecordingId[]) =>
  await db
    .selectFrom('recordings')
    .selectAll('recordings')
    .select(officerThen.as('officer'))
    .where('id', 'in', ids)
    .execute()

const receiptsOf = async (db: Db, ids: RecordingId[]): Promise<Map<RecordingId, string>> => {
  const rows = await db
    .selectFrom('receipts')
    .innerJoin('recordings', 'recordings.upload', 'receipts.upload')
    .select(['recordings.id', 'receipts.jws'])
    .where('recordings.id', 'in', ids)
    .execute()
  return new Map(rows.map(({ id, jws }) => [id, jws]))
}

const playedForms = async (db: Db, ids: RecordingId[]): Promise<Map<RecordingId, NonNullable<Held['hls']>>> => {
  if (ids.length === 0) return new Map()
  const query = db.selectFrom('renditions').selectAll().where('recording', 'in', ids)
  const rows = await query.where('kind', '=', 'hls').where(whole).execute()
  const pieces = new Map<RenditionId, RenditionObjectRow[]>(rows.map(({ id }) => [id, []]))
  if (rows.length > 0) {
    const objects = db
      .selectFrom('renditionObjects')
      .selectAll()
      .where('rendition', 'in', [...pieces.keys()])
    for (const object of await objects.orderBy('number').execute()) pieces.get(object.rendition)?.push(object)
  }
  return new Map(rows.map((row) => [row.recording, { row, pieces: pieces.get(row.id) ?? [] }]))
}

const clipsBy = async (db: Db, ids: ClipId[]): Promise<Map<ClipId, ClipRow>> => {
  if (ids.length === 0) return new Map()
  const rows = await db.selectFrom('clips').selectAll().where('id', 'in', ids).execute()
  return new Map(rows.map((row) => [row.id, row]))
}

export const contentsOf = async (db: Db, bundle: BundleRow): Promise<Contents> => {
  const exhibits = await db
    .selectFrom('bundleExhibits')
    .innerJoin('scheduleItems', 'scheduleItems.exhibit', 'bundleExhibits.exhibit')
    .selectAll('bundleExhibits')
    .select('scheduleItems.listedAt')
    .where('bundle', '=', bundle.id)
    .orderBy('bundleExhibits.number')
    .execute()
  const ids = [...new Set(exhibits.map(({ recording }) => recording))]
  const recordings = new Map((await recordingsWithOfficer(db, ids)).map((row) => [row.id, row]))
  const copied = exhibits.flatMap(({ clip, recording }) => {
    const known = clip === null ? recordings.get(recording) : undefined
    return known === undefined || playsInBrowsers(known) ? [] : [recording]
  })
  const [receipts, forms] = [await receiptsOf(db, ids), await playedForms(db, [...new Set(copied)])]
  const clips = await clipsBy(
    db,
    exhibits.flatMap(({ clip }) => (clip === null ? [] : [clip])),
  )
  const found = await db
    .selectFrom('cases')
    .select(['reference', 'title'])
    .where('id', '=', bundle.case)
    .executeTakeFirstOrThrow()
  return {
    bundle,
    case: found,
    exhibits: exhibits.map((exhibit) => {
      const known = recordings.get(exhibit.recording)
      if (known === undefined) throw new Error('an exhibit without its recording')
      const { officer, ...recording } = known
      const held = {
        recording,
        officer,
        receipt: receipts.get(recording.id) ?? null,
        hls: forms.get(recording.id) ?? null,
      }
      return { exhibit, held, clip: exhibit.clip === null ? null : (clips.get(exhibit.clip) ?? null) }
    }),
  }
}
