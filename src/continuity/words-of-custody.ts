import type { Words } from './telling.ts'

const kinds: Record<string, string> = {
  hls: 'a form that browsers play',
  proxy: 'a smaller form that browsers play',
  poster: 'a still picture',
  storyboard: 'a sheet of small pictures',
}

/** How footage came, what was found of it, and what was made of it. */
export const custodyWords: Words = {
  'manifest.announced': () => 'A docking station announced what the camera held.',
  'upload.created': (told) => {
    const name = told.text('filename')
    return `The docking station began to send the file${name === undefined ? '' : `, named “${name}”`}.`
  },
  'upload.stored': () => 'The last byte of the file had arrived, and was stored.',
  'upload.kept': () => 'Only a part of the file had arrived, and a supervisor kept that part.',
  'upload.expired': () => 'The sending of the file had stood still for too long, and was put onto the work list.',
  'upload.superseded': () => 'A sending of the file was ended: the same file had come into custody by another.',
  'upload.terminated': () => 'The docking station gave up sending the file before it was whole.',
  'upload.lost-by-store': () =>
    'The store had lost what had arrived by this sending: it was ended, and the file owed anew.',
  'upload.parts-removed': () => 'What had arrived by this sending, and nobody had kept, was removed.',
  'recording.verified': () =>
    'After it had been stored, every byte of the recording was read back and had the SHA-256 that is given here. The recording was in custody.',
  'recording.duplicate': () =>
    'The same file was sent once more. It was read back, was the same byte for byte, and was dropped.',
  'recording.quarantined': (told) =>
    told.text('because') === 'parts-mismatch'
      ? 'What was read back was not what had arrived. The recording was set aside, and shown to nobody.'
      : 'What was read back was not what had been declared. The recording was set aside, and shown to nobody.',
  'recording.accepted': () => 'The recording was accepted under the digest that had been read back.',
  'recording.discard-asked': () => 'It was asked that the recording, which had been set aside, be discarded.',
  'recording.discarded': () => 'A second person approved it: the recording, which had been set aside, was discarded.',
  'recording.examined': (told) => {
    const flags = told.texts('flags').map((flag) => flag.replaceAll('_', ' '))
    if (told.json === undefined) return 'The file was examined.'
    return flags.length === 0
      ? 'The file was examined, and nothing was flagged.'
      : `The file was examined, and flagged: ${flags.join(', ')}.`
  },
  'recording.mismatch-found': () =>
    'An alarm: the store was found not to hold what the catalogue says of this footage. Nothing was put right by itself.',
  'rendition.made': (told) => {
    const kind = kinds[told.text('kind') ?? '']
    return `A copy to look at was made of the recording${kind === undefined ? '' : `: ${kind}`}. It is never evidence, and the recording was not changed.`
  },
  'rendition.remake': () => 'It was asked that the copies to look at be made anew.',
  'clip.request': (told) => {
    const [start, end] = [told.number('start'), told.number('end')]
    const range = start === undefined || end === undefined ? '' : `, from ${start} s to ${end} s`
    return `A clip of the recording was asked for${range}.`
  },
  'clip.cut': () =>
    'A clip was cut from the recording and checked frame by frame against it. The recording was not changed.',
  'clip.failed': () => 'A clip of the recording could not be cut. The recording was not changed.',
}
