import type { Json } from '../base/canonical.ts'
import { memberAt, type Words } from './telling.ts'

const rangesIn = (watched: Json | undefined): string[] =>
  Array.isArray(watched)
    ? watched.flatMap((range) => {
        const [start, end] = Array.isArray(range) ? range : []
        return typeof start === 'number' && typeof end === 'number' ? [`${start} s to ${end} s`] : []
      })
    : []

/** Who looked, and who took a copy away. */
export const sightWords: Words = {
  'recording.viewing': () => 'The recording was opened to be watched.',
  'recording.viewing-ended': ({ json }) => {
    const watched = memberAt(json, 'watched')
    if (watched === undefined) return 'A viewing of the recording ended.'
    const ranges = rangesIn(watched)
    return ranges.length === 0
      ? 'A viewing of the recording ended. Nothing of it had been watched.'
      : `A viewing of the recording ended. Watched was: ${ranges.join(', ')}.`
  },
  'viewing.read': () => 'What had been watched in a viewing was read.',
  'recording.thumbnails': () => 'Small pictures of recordings were shown in a list.',
  'recording.list': () => 'The catalogue was searched.',
  'recording.read': () => 'The facts in the catalogue were read.',
  'receipt.read': () => 'The custody receipt was read.',
  'recording.download': () => 'The original was given out: an address at which a copy could be fetched for a while.',
  'clip.download': () => 'The clip was given out: an address at which a copy could be fetched for a while.',
  'bundle.download': () => 'The bundle was given out: an address at which a copy could be fetched for a while.',
  'clip.read': () => 'The facts of a clip were read.',
  'clip.list': () => 'The list of the clips of the recording was read.',
  'custody.read': (told) =>
    `This story of custody was read${told.text('format') === 'pdf' ? ', as a continuity statement to print' : ''}.`,
  'hold.list': () => 'The holds on the recording were read.',
  'retention.read': () => 'It was read when the recording may be destroyed.',
  'erasure.read': () => 'The proof of erasure was read.',
  'upload.list': () => 'The work list of uploads was read.',
  'camera.shortfall': () => 'It was read what a camera had announced and never arrived.',
  'retention.due': () => 'It was read what is due to be destroyed.',
}
