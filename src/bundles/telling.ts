import { iso } from '../base/time.ts'
import { type PlannedExhibit, provenanceName, statementName } from './plan.ts'
import type { ProvenEntry } from './proven.ts'
import { receiptPath } from './provenance.ts'
import { type ExhibitStory, entryPath, type MediaFile, type Provenance, type StoryLine } from './story.ts'
import { clockInWords } from './wording.ts'

const isAbout = ({ from: { exhibit, held, clip } }: PlannedExhibit, entry: ProvenEntry): boolean => {
  if (entry.action === 'clip.cut') return entry.clip === clip?.id
  return entry.subject === exhibit.exhibit || entry.subject === held.recording.id || entry.subject === exhibit.bundle
}

/** What happened to an exhibit, oldest first. `entries` as they are numbered in the bundle. */
const linesOf = (planned: PlannedExhibit, entries: readonly ProvenEntry[]): StoryLine[] => {
  const { recording, officer } = planned.from.held
  const who = officer === null ? '' : ` of officer ${officer}`
  const clock = clockInWords(recording.clockOffset)
  const lines: StoryLine[] = [
    {
      at: iso(recording.recordedAt),
      words: `Camera ${recording.camera}${who} began to record, by its own clock; ${clock}.`,
      entry: null,
      leaf: null,
    },
    {
      at: iso(recording.receivedAt),
      words: 'The last byte of the recording had arrived from the dock.',
      entry: null,
      leaf: null,
    },
    ...entries.flatMap((entry, at) =>
      isAbout(planned, entry) ? [{ at: entry.at, words: entry.words, entry: entryPath(at + 1), leaf: entry.leaf }] : [],
    ),
  ]
  return lines.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
}

/** An exhibit as it is told to the reader. `files` are those of its folder; `original` may be another exhibit's. */
export const exhibitStory = (
  planned: PlannedExhibit,
  files: readonly MediaFile[],
  original: MediaFile | null,
  provenance: Provenance,
  entries: readonly ProvenEntry[],
): ExhibitStory => {
  const { exhibit, clip, held } = planned.from
  const fileAt = (path: string | undefined) => files.find((file) => file.path === path) ?? null
  const media = fileAt(planned.media.path)
  if (media === null) throw new Error('an exhibit without its media')
  return {
    item: exhibit.number,
    reference: exhibit.reference,
    folder: planned.folder,
    kind: clip === null ? 'recording' : 'clip',
    description: exhibit.description,
    media,
    viewingCopy: fileAt(planned.viewingCopy?.path),
    original,
    playable: planned.playable,
    provenance,
    provenancePath: `${planned.folder}/${provenanceName}`,
    statementPath: `${planned.folder}/${statementName}`,
    receipt: receiptPath(held),
    story: linesOf(planned, entries),
  }
}
