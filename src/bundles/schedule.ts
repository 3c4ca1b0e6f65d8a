import { csvOf } from '../base/csv.ts'
import type { ContentsOfExhibit } from './contents.ts'
import type { BundleStory, MediaFile, ScheduleItem } from './story.ts'
import { clockInWords, lasting, moment, tracksInWords } from './wording.ts'

/** A line of MG6C. `holder` is the installation that holds the material; days are those of its `zone`. */
export const scheduleItem = (
  { exhibit, held, clip }: ContentsOfExhibit,
  media: MediaFile,
  { holder, zone }: { holder: string; zone: string },
): ScheduleItem => {
  const { recording, officer } = held
  const made = `Camera ${recording.camera}, ${officer === null ? 'officer not known' : `officer ${officer}`}, recorded ${moment(recording.recordedAt)} by the camera's clock (${clockInWords(recording.clockOffset)}).`
  const what = tracksInWords(recording)
  const listed = Temporal.Instant.fromEpochMilliseconds(exhibit.listedAt.getTime())
  const content =
    clip === null
      ? `Body-worn video: ${what}${recording.duration === null ? '' : `, ${lasting(recording.duration)}`}. ${made}`
      : `Excerpt of body-worn video: ${what}${clip.duration === null ? '' : `, ${lasting(clip.duration)}`}${clip.frames === null ? '' : `, ${clip.frames} frames`}. ${made}`
  return {
    item: exhibit.number,
    reference: exhibit.reference,
    description: exhibit.description,
    content,
    location: `Held in digital custody by ${holder}; a copy in this bundle: ${media.path}`,
    range: clip === null ? 'the whole recording' : `from ${clip.starts} s to ${clip.ends} s of the recording`,
    evidence: clip === null ? `recording ${recording.id}` : `clip ${clip.id} of recording ${recording.id}`,
    sha256: media.sha256,
    listed: listed.toZonedDateTimeISO(zone).toPlainDate().toString(),
  }
}

type Scheduled = Pick<BundleStory, 'bundle' | 'case' | 'schedule'>

/** The columns of MG6C; the last two are the prosecutor's to fill in. */
const columns = [
  'Item',
  'Reference',
  'Description',
  'Content',
  'Location',
  'Range',
  'Evidence',
  'SHA-256',
  'Listed on',
  'CPS decision',
  'CPS comment',
] as const

/** The schedule as a table, for programs that open tables. */
export const scheduleCsv = ({ schedule }: Scheduled): string =>
  csvOf([
    columns,
    ...schedule.map(({ item, reference, description, content, location, range, evidence, sha256, listed }) => [
      item,
      ...[reference, description, content, location, range, evidence, sha256, listed],
      ...['', ''],
    ]),
  ])

/** The schedule for programs; a decision that nobody took yet is null. */
export const scheduleJson = ({ bundle, case: of, schedule }: Scheduled): string =>
  `${JSON.stringify(
    {
      form: 'MG6C',
      what: 'Schedule of relevant non-sensitive material',
      case: of,
      schedule: bundle.schedule,
      bundle: bundle.id,
      at: bundle.askedAt,
      items: schedule.map((item) => ({ ...item, prosecutorDecision: null, prosecutorComment: null })),
    },
    null,
    2,
  )}\n`
