// @ts-check
// What a recording's flags mean, for somebody who has never seen the word.

/** @type {Readonly<Record<string, { title: string; text: string }>>} */
const words = {
  truncated: {
    title: 'Cut off at the end',
    text: 'The file ends before it should, as when a camera loses power. Everything it holds up to there is shown.',
  },
  silent_start: {
    title: 'Silent at the start',
    text: 'Many cameras, while they wait to be started, keep the latest seconds without sound, and a recording begins with these. What is silent at the start was, as a rule, filmed before the button was pressed.',
  },
  clock_drift: {
    title: 'Camera clock was wrong',
    text: 'When the camera was docked its clock and the dock’s clock did not agree. The time on this page is corrected by that difference.',
  },
  clock_implausible: {
    title: 'Time not to be relied on',
    text: 'The camera gave a time that cannot be right, before 2005 or in the future. Establish the time by other evidence.',
  },
  sequence_gap: {
    title: 'A file before this one is missing',
    text: 'The camera numbers its files, and the number before this one has not arrived. Something may have been recorded that is not here.',
  },
  unplayable: {
    title: 'Cannot be played',
    text: 'No picture or sound could be read from this file. The original is kept unaltered and can be downloaded.',
  },
  digest_disputed: {
    title: 'Digest disputed',
    text: 'The dock announced another digest than the one that was read, twice. A supervisor accepted the file as it was read.',
  },
}

/** A flag nobody described is shown as its own word. @param {string} flag */
export const flagInWords = (flag) => (Object.hasOwn(words, flag) && words[flag]) || { title: flag, text: '' }
