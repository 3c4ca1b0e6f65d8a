import { type RawBuilder, sql } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { PolicyId, RecordingId, RequestId, Sha256 } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { SealedPart, Trigger } from '../engines/retention-tables.ts'
import type { RecordingStatus } from '../engines/tables.ts'
import type { Facts } from './date.ts'
import { holdKinds } from './words.ts'

/** A recording with all that its date depends on. `place`: where it stands in the order of its source. */
export type Subject = {
  id: RecordingId
  status: RecordingStatus
  size: number
  sha256: Sha256 | null
  recordedAt: Date
  objectVersion: string | null
  policy: {
    id: PolicyId
    version: number
    trigger: Trigger
    period: string
    grace: string
    sealed: SealedPart[]
  } | null
  request: RequestId | null
  facts: Facts
  place: string
}

const Holds = Type.Array(
  Type.Object({
    kind: Type.Unsafe<(typeof holdKinds)[number]>({ type: 'string', enum: [...holdKinds] }),
    placedAt: Type.String(),
    reviewOn: Type.Union([Type.String(), Type.Null()]),
  }),
)
const Cases = Type.Array(
  Type.Object({
    status: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
    events: Type.Record(Type.String(), Type.String()),
  }),
)

type Row = Omit<Subject, 'policy' | 'facts'> & {
  category: string | null
  correctedAt: Date
  receivedAt: Date
  flags: string[]
  policyId: PolicyId | null
  version: number
  trigger: Trigger
  period: string
  grace: string
  sealed: SealedPart[]
  deletionApprovedAt: Date | null
  exhibitSince: Date | null
  previous: 'verified' | 'active' | null
  holds: unknown
  cases: unknown
}

/** Until when the recording's period has not begun, whatever becomes known of it. The index on recordings has the same. */
const start = sql`retention_start(r.flags, r.corrected_at, r.received_at)`

const subjects = (
  condition: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
  place = start,
): RawBuilder<Row> => sql<Row>`
  select r.id, r.status, r.size, r.sha256, r.recorded_at, r.object_version, r.category, r.corrected_at, r.received_at,
    r.flags, p.id as policy_id, p.version, p.trigger, p.period, p.grace, p.sealed,
    d.id as request, d.approved_at as deletion_approved_at, (${place})::text as place,
    (select max(added_at) from exhibits x where x.recording = r.id and x.withdrawn_at is null) as exhibit_since,
    (select previous from purge_items i where i.recording = r.id and i.state in ('hiding', 'grace', 'erasing')) as previous,
    coalesce((
      select jsonb_agg(jsonb_build_object('kind', h.kind, 'placedAt', h.placed_at, 'reviewOn', h.review_on) order by h.id)
      from holds h where h.recording = r.id and h.released_at is null), '[]') as holds,
    coalesce((
      select jsonb_agg(jsonb_build_object('status', c.status, 'events', coalesce((
        select jsonb_object_agg(kind, on_date) from (
          select kind, max(on_date) as on_date from case_events e
          where e."case" = c.id and e.withdrawn_at is null group by kind) latest), '{}')) order by c.id)
      from cases c where c.id in (
        select x."case" from exhibits x where x.recording = r.id and x.withdrawn_at is null)), '[]') as cases
  from recordings r
    left join policies p on p.state = 'approved' and p.category is not distinct from r.category
    left join deletion_requests d on d.recording = r.id and d.ended_at is null
  where r.duplicate_of is null and ${condition} ${order}`

const unexamined: readonly RecordingStatus[] = ['received', 'verified']

const subjectOf = (row: Row): Subject => {
  const { category, correctedAt, receivedAt, flags, deletionApprovedAt, exhibitSince, ...more } = row
  const { holds, cases, previous, ...rest } = more
  const { policyId, version, trigger, period, grace, sealed, ...plain } = rest
  const policy = policyId === null ? null : { id: policyId, version, trigger, period, grace, sealed }
  return {
    ...plain,
    policy,
    facts: {
      category,
      correctedAt,
      receivedAt,
      flags,
      examined: !unexamined.includes(previous ?? row.status),
      policy,
      cases: Value.Parse(Cases, cases),
      holds: Value.Parse(Holds, holds).map(({ placedAt, ...hold }) => ({ ...hold, placedAt: new Date(placedAt) })),
      deletionApprovedAt,
      exhibitSince,
    },
  }
}

/** The recording and its facts, as they are now; undefined for one that is not there, or a second object of a file. */
export const subjectById = async (db: Db | Tx, id: RecordingId): Promise<Subject | undefined> => {
  const { rows } = await subjects(sql`r.id = ${id}`, sql``).execute(db)
  return rows[0] === undefined ? undefined : subjectOf(rows[0])
}

/**
 * The same for one whose row the caller holds. The cases it is in stay as they are until the transaction ends, so that none
 * is reopened meanwhile.
 */
export const subjectInTransaction = async (tx: Tx, id: RecordingId): Promise<Subject | undefined> => {
  await sql`
    select from cases where id in (
      select "case" from exhibits where recording = ${id} and withdrawn_at is null)
    order by id for share`.execute(tx)
  return await subjectById(tx, id)
}

export type After = { place: string; id: RecordingId }

const hideable = sql`r.status in ('verified', 'active')`

const ofCategory = (category: string | null) =>
  category === null ? sql`r.category is null` : sql`r.category = ${category}`

const afterStart = (after: After | undefined) =>
  after === undefined ? sql`true` : sql`(${start}, r.id) > (${after.place}::timestamptz, ${after.id}::uuid)`

/** Recordings of a category that began to count by then. */
export const recordedBy = async (
  db: Db | Tx,
  category: string | null,
  by: Date,
  after: After | undefined,
  limit: number,
): Promise<Subject[]> => {
  const { rows } = await subjects(
    sql`${hideable} and ${ofCategory(category)} and d.approved_at is null and ${start} <= ${by} and ${afterStart(after)}`,
    sql`order by ${start}, r.id limit ${limit}`,
  ).execute(db)
  return rows.map(subjectOf)
}

/** Recordings of a category that are in a closed case which had this event by that day. */
export const closedBy = async (
  db: Db | Tx,
  category: string | null,
  trigger: Trigger,
  by: string,
  after: After | undefined,
  limit: number,
): Promise<Subject[]> => {
  const { rows } = await subjects(
    sql`${hideable} and ${ofCategory(category)} and d.approved_at is null and ${afterStart(after)} and r.id in (
      select x.recording from exhibits x
        join cases c on c.id = x."case" and c.status = 'closed'
        join case_events e on e."case" = c.id and e.kind = ${trigger} and e.on_date <= ${by} and e.withdrawn_at is null
      where x.withdrawn_at is null)`,
    sql`order by ${start}, r.id limit ${limit}`,
  ).execute(db)
  return rows.map(subjectOf)
}

/** Recordings whose deletion was approved by then. */
export const requestedBy = async (
  db: Db | Tx,
  by: Date,
  after: After | undefined,
  limit: number,
): Promise<Subject[]> => {
  const later =
    after === undefined ? sql`true` : sql`(d.approved_at, r.id) > (${after.place}::timestamptz, ${after.id}::uuid)`
  const { rows } = await subjects(
    sql`${hideable} and d.approved_at <= ${by} and ${later}`,
    sql`order by d.approved_at, r.id limit ${limit}`,
    sql`d.approved_at`,
  ).execute(db)
  return rows.map(subjectOf)
}

/** Every recording of a category that a policy may decide on, hidden ones too. */
export const ofCategoryPage = async (
  db: Db | Tx,
  category: string | null,
  after: After | undefined,
  limit: number,
): Promise<Subject[]> => {
  const { rows } = await subjects(
    sql`r.status in ('verified', 'active', 'grace') and ${ofCategory(category)} and ${afterStart(after)}`,
    sql`order by ${start}, r.id limit ${limit}`,
  ).execute(db)
  return rows.map(subjectOf)
}

/** Waits for whoever is at the recording, and keeps others from it until the transaction ends. */
export const lockRecording = async (tx: Tx, id: RecordingId, how: 'share' | 'update') => {
  const query = tx
    .selectFrom('recordings')
    .select(['id', 'status', 'objectVersion', 'sha256', 'size', 'camera', 'readmittedAt', 'upload'])
    .where('id', '=', id)
    .where('duplicateOf', 'is', null)
  return await (how === 'share' ? query.forShare() : query.forUpdate()).executeTakeFirst()
}
