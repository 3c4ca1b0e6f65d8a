import type { Told, Words } from './telling.ts'

const because = (told: Told): string => {
  const why = told.text('because')
  return why === undefined ? '' : ` ${why}`
}

/** Which part of an entry was erased, in words. */
export const partInWords: Record<string, string> = {
  actor: 'who it was',
  purpose: 'the reason',
  recipient: 'the recipient',
  policy: 'the rule',
  detail: 'what was noted',
  body: 'all it said',
}

/** What keeps footage, and how it goes. */
export const retentionWords: Words = {
  'recording.held': (told) => {
    const kind = told.text('kind')?.replaceAll('_', ' ')
    return `A hold${kind === undefined ? '' : ` (${kind})`} was placed on the recording: no rule destroys it while that is there.`
  },
  'recording.hold-released': () => 'A hold on the recording was released.',
  'recording.deletion-asked': () => 'It was asked that the recording be deleted before its time.',
  'recording.deletion-approved': () => 'A second person approved that the recording be deleted before its time.',
  'recording.deletion-withdrawn': (told) =>
    `The request to delete the recording before its time was taken back.${because(told)}`,
  'recording.hidden': (told) => {
    const until = told.text('until')
    const end = until === undefined ? '' : `, to be erased no earlier than ${until.slice(0, 10)}`
    return `The retention schedule hid the recording${end}.${because(told)}`
  },
  'recording.restored': (told) => `The recording was restored before anything of it was erased.${because(told)}`,
  'recording.erasure-begun': (told) => `The erasure of the recording began.${because(told)}`,
  'recording.erasure-failed': () => 'The store did not carry out the erasure: it was to be tried again.',
  'recording.erased': (told) => {
    const objects = told.number('objects')
    const all = objects === undefined ? 'everything' : objects === 1 ? '1 object' : `${objects} objects`
    return `The recording was erased: ${all} in the store, deleted and asked for again until nothing was there.`
  },
  'recording.erased-file-refused': () =>
    'A docking station brought the file again after its erasure. It was refused, and what had arrived went.',
  'recording.readmitted': () => 'It was allowed that docking stations bring the erased file again, as a new recording.',
  'entry.part-erased': (told) => {
    const part = told.text('part')
    const what = part === undefined ? 'A part' : (partInWords[part] ?? `The part ${part}`)
    return `${what.slice(0, 1).toUpperCase()}${what.slice(1)} was erased from entry ${told.subject}. Its place in the log stays.`
  },
  'purge.started': () => 'A purge was started.',
  'purge.braked': () => 'A purge stopped itself, since it would have hidden more than is usual.',
  'purge.abandoned': () => 'A purge was given up.',
  'purge.released': () => 'A second person let a purge go on that had stopped itself.',
  'purge.ended': () => 'A purge ended.',
  'policy.drafted': () => 'A retention policy was drafted.',
  'policy.simulation-asked': () => 'It was asked what a retention policy would do.',
  'policy.simulated': () => 'It was counted what a retention policy would do.',
  'policy.simulation-read': () => 'It was read what a retention policy would do.',
  'policy.approved': () => 'A second person approved a retention policy.',
}
