import { randomUUIDv7 } from 'node:crypto'
import { Type } from 'typebox'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type EntryId = Branded<'entry'>
export type PersonId = Branded<'person'>
export type DockId = Branded<'dock'>
export type UploadId = Branded<'upload'>
export type RecordingId = Branded<'recording'>
export type JobId = Branded<'job'>
export type DownloadId = Branded<'download'>
export type RenditionId = Branded<'rendition'>
export type ViewingId = Branded<'viewing'>
export type ClipId = Branded<'clip'>
export type CaseId = Branded<'case'>
export type ExhibitId = Branded<'exhibit'>
export type CaseEventId = Branded<'case-event'>
export type BundleId = Branded<'bundle'>
export type PolicyId = Branded<'policy'>
export type HoldId = Branded<'hold'>
export type PurgeId = Branded<'purge'>
export type SimulationId = Branded<'simulation'>
export type RequestId = Branded<'request'>
/** A camera's serial as the maker printed it. */
export type CameraSerial = Branded<'camera'>
/** An officer's collar number. */
export type Collar = Branded<'collar'>
/** Lower-case hex SHA-256. */
export type Sha256 = Branded<'sha256'>

const millisecond = 13
const most = 0xfff
let last = { millisecond: '', count: 0 }

/**
 * A new UUIDv7. Its leading 48 bits are the present millisecond, and those of one process sort by birth within one too: the
 * 12 bits after them count (RFC 9562, section 6.2, method 1), from a random number in their lower half on.
 */
export const newId = <Id extends Branded<string>>(): Id => {
  const id = randomUUIDv7()
  const now = id.slice(0, millisecond)
  const count = now === last.millisecond ? last.count + 1 : Number.parseInt(id.slice(15, 18), 16) >> 1
  // They are counted out: the next millisecond is not far.
  if (count > most) return newId()
  last = { millisecond: now, count }
  return `${id.slice(0, 15)}${count.toString(16).padStart(3, '0')}${id.slice(18)}` as Id
}

/** The least id that could be born in this millisecond since 1970; outside of what an id can hold, the nearest it can. */
export const firstIdAt = (ms: number): string => {
  const birth = Math.trunc(Math.min(Math.max(ms, 0), 2 ** 48 - 1))
    .toString(16)
    .padStart(12, '0')
  return `${birth.slice(0, 8)}-${birth.slice(8)}-0000-0000-000000000000`
}

/** When an id was born, by the clock of who made it. */
export const bornAt = (id: Branded<string>): Date => new Date(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16))

const uuid = {
  type: 'string',
  format: 'uuid',
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
} as const

export const IdOf = {
  entry: Type.Unsafe<EntryId>(uuid),
  person: Type.Unsafe<PersonId>(uuid),
  dock: Type.Unsafe<DockId>(uuid),
  upload: Type.Unsafe<UploadId>(uuid),
  recording: Type.Unsafe<RecordingId>(uuid),
  job: Type.Unsafe<JobId>(uuid),
  viewing: Type.Unsafe<ViewingId>(uuid),
  clip: Type.Unsafe<ClipId>(uuid),
  case: Type.Unsafe<CaseId>(uuid),
  exhibit: Type.Unsafe<ExhibitId>(uuid),
  caseEvent: Type.Unsafe<CaseEventId>(uuid),
  bundle: Type.Unsafe<BundleId>(uuid),
  policy: Type.Unsafe<PolicyId>(uuid),
  hold: Type.Unsafe<HoldId>(uuid),
  purge: Type.Unsafe<PurgeId>(uuid),
  simulation: Type.Unsafe<SimulationId>(uuid),
}

const noControls = '^[^\\u0000-\\u001f\\u007f]*$'
export const Serial = Type.Unsafe<CameraSerial>({ type: 'string', minLength: 1, maxLength: 64, pattern: noControls })
export const CollarNumber = Type.Unsafe<Collar>({ type: 'string', minLength: 1, maxLength: 32, pattern: noControls })
export const Digest = Type.Unsafe<Sha256>({ type: 'string', pattern: '^[0-9a-f]{64}$' })
