import { iso } from '../base/time.ts'
import type { Contents, Held } from './contents.ts'
import type { PlannedExhibit } from './plan.ts'
import type { MediaFile, Provenance, SourceFacts, ToolRun } from './story.ts'

export const receiptPath = ({ recording, receipt }: Held): string | null =>
  receipt === null ? null : `proofs/receipts/${recording.id}.jws`

const sourceOf = ({ recording, officer }: Held): SourceFacts => {
  const { id, camera, recordedAt, clockOffset, receivedAt, duration, filename, mediaType, size, sha256 } = recording
  if (sha256 === null) throw new Error('only what is in custody is disclosed')
  return {
    recording: id,
    camera,
    officer,
    recordedAt: iso(recordedAt),
    clockOffset,
    receivedAt: iso(receivedAt),
    duration,
    filename,
    mediaType: mediaType ?? 'application/octet-stream',
    size,
    sha256,
    flags: recording.flags,
    incident: recording.incident,
  }
}

const clipIsNot =
  'It is not the recording: what comes before and after is in the original alone. Frames that were encoded anew, and the sound, are not bit for bit those of the original.'

/** What a file is, and what nobody must take it for. */
const said: Record<MediaFile['made'], { is: string; isNot: string }> = {
  original: {
    is: "The camera's own file, bit for bit as it came into custody.",
    isNot: 'It is not edited, cut, redacted or encoded anew.',
  },
  clip: {
    is: 'Every frame of the recording that begins within the range, and no other, with its sound.',
    isNot: clipIsNot,
  },
  'viewing-copy': {
    is: 'The recording once more, in a form that browsers play, to look at it.',
    isNot:
      'It is not evidence: the file beside it is. It was put together and may be encoded anew, smaller or with losses.',
  },
}

const runOf = ({ from: { held, clip } }: PlannedExhibit, made: MediaFile['made']): ToolRun | null => {
  if (made === 'clip' && clip?.provenance != null) {
    const { tool, arguments: words } = clip.provenance
    return { tool, arguments: words }
  }
  if (made === 'viewing-copy' && held.hls !== null) {
    const { tool, arguments: words } = held.hls.row
    return { tool: tool ?? 'unknown', arguments: words }
  }
  return null
}

/** What `provenance.json` says of an exhibit whose files are written. */
export const provenanceOf = (
  { bundle, case: of }: Contents,
  planned: PlannedExhibit,
  files: readonly MediaFile[],
): Provenance => {
  const { exhibit, held, clip } = planned.from
  const kind = clip === null ? 'recording' : 'clip'
  const { reference, number: item, description } = exhibit
  if (clip !== null && (clip.provenance === null || clip.size === null || clip.sha256 === null))
    throw new Error('a clip that is ready without its provenance')
  return {
    v: 1,
    bundle: bundle.id,
    case: { id: bundle.case, reference: of.reference },
    exhibit: { id: exhibit.exhibit, reference, item, kind, description },
    source: { ...sourceOf(held), receipt: receiptPath(held) },
    clip:
      clip === null || clip.provenance === null || clip.size === null || clip.sha256 === null
        ? null
        : { id: clip.id, size: clip.size, sha256: clip.sha256, ...clip.provenance },
    files: files.map((file) => ({ ...file, ...said[file.made], run: runOf(planned, file.made) })),
  }
}
