import type { CameraSerial, ClipId, Collar, RecordingId, Sha256 } from '../base/ids.ts'
import { iso } from '../base/time.ts'
import { officerThen } from '../docks/assignments.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { ClipMethod, ClipState, RecordingStatus } from '../engines/tables.ts'
import { mayPerson } from '../people/permissions.ts'
import type { Person } from '../people/person.ts'
import { visibleTo } from '../people/visibility.ts'

/** What a story is of. */
export type Subject = { type: 'recording'; id: RecordingId } | { type: 'clip'; id: ClipId }

/** Of a clip: which range of the recording it is, in seconds, and its own digest. */
type ClipFacts = {
  id: ClipId
  title: string | null
  start: number
  end: number
  state: ClipState
  method: ClipMethod | null
  size: number | null
  sha256: Sha256 | null
}

/** The recording as the catalogue knows it; `clip` where the story is a clip's. What is not known is null. */
export type Facts = {
  recording: RecordingId
  camera: CameraSerial
  officer: Collar | null
  filename: string
  size: number
  sha256: Sha256 | null
  recordedAt: string
  /** Seconds the camera's clock was ahead. */
  clockOffset: number | null
  receivedAt: string
  duration: number | null
  status: RecordingStatus
  flags: string[]
  clip: ClipFacts | null
}

const isAuditor = ({ roles }: Person): boolean => roles.includes('auditor')

/** Whether a person may read stories of clips: whoever may read about clips, and auditors. */
const mayKnowClips = (person: Person): boolean => isAuditor(person) || mayPerson(person.roles, 'clip.read')

const recordingRow = (db: Db | Tx, id: RecordingId) =>
  db
    .selectFrom('recordings')
    .select(['id', 'camera', 'filename', 'size', 'sha256', 'recordedAt', 'clockOffset', 'receivedAt'])
    .select(['duration', 'status', 'flags'])
    .select(officerThen.as('officer'))
    .where('id', '=', id)
    .where('duplicateOf', 'is', null)

const clipRow = async (db: Db | Tx, id: ClipId) =>
  await db
    .selectFrom('clips')
    .select(['id', 'recording', 'title', 'starts', 'ends', 'state', 'method', 'size', 'sha256'])
    .where('id', '=', id)
    .executeTakeFirst()

const ofRecording = async (
  db: Db | Tx,
  id: RecordingId,
  clip: ClipFacts | null,
  person: Person | null,
): Promise<Facts | undefined> => {
  const query = recordingRow(db, id)
  const row = await (person === null || isAuditor(person) ? query : query.where(visibleTo(person))).executeTakeFirst()
  if (row === undefined) return undefined
  const { id: recording, recordedAt, receivedAt, ...facts } = row
  return { recording, ...facts, recordedAt: iso(recordedAt), receivedAt: iso(receivedAt), clip }
}

/**
 * What the story is of, where this person may know of it: an auditor of everything, and a clip only whoever may read about
 * clips. Null as the person is for what goes out of the house. Undefined where there is nothing to know.
 */
export const factsAbout = async (db: Db | Tx, subject: Subject, person: Person | null): Promise<Facts | undefined> => {
  if (subject.type === 'recording') return await ofRecording(db, subject.id, null, person)
  const found = await clipRow(db, subject.id)
  if (found === undefined || (person !== null && !mayKnowClips(person))) return undefined
  const { recording, starts: start, ends: end, ...clip } = found
  return await ofRecording(db, recording, { ...clip, start, end }, person)
}
