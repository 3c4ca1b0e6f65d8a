// @ts-check
// What is known of the recording and of this viewing, beside the picture.
import { clockDate, clockDifference, clockTime, clockZone, position } from './clock.js'
import { element, write } from './element.js'
import { flagInWords } from './flags.js'

/** @param {{ title: string; text: string }} fact */
const factItem = ({ title, text }) => {
  const item = document.createElement('li')
  const name = document.createElement('strong')
  name.textContent = title
  item.append(name)
  if (text !== '') item.append(` ${text}`)
  return item
}

/**
 * What of the original is not played: nobody who watches is to believe that there is no more.
 * @param {{ video: number; audio: number }} notPlayed
 */
const tracksInWords = ({ video, audio }) => {
  const counted = (/** @type {number} */ count, /** @type {string} */ of) =>
    count === 0 ? [] : [`${count} more ${of} ${count === 1 ? 'track' : 'tracks'}`]
  const more = [...counted(video, 'picture'), ...counted(audio, 'sound')].join(' and ')
  if (more === '') return []
  return [
    { title: 'Not all of it is played.', text: `The original has ${more}. Download it to see and hear everything.` },
  ]
}

/** Where nothing can be shown of the end. @param {import('./viewing.js').Viewing['playable']} playable */
const endInWords = ({ hls, proxy }) => {
  const shownTo = hls?.shownTo ?? proxy?.shownTo
  if (shownTo === undefined) return []
  const text = `What follows ${position(shownTo)} is damaged and could not be decoded here. The original is kept unaltered and can be downloaded.`
  return [{ title: 'Its end is not shown.', text }]
}

/** What scrolls by itself must be reached by the keyboard; what does not should not be in its way. */
export const reachWhatScrolls = () => {
  const side = element('side', HTMLElement)
  const look = () => {
    if (side.scrollHeight > side.clientHeight) side.tabIndex = 0
    else side.removeAttribute('tabindex')
  }
  new ResizeObserver(look).observe(side)
  for (const card of side.children) new ResizeObserver(look).observe(card)
}

/** @param {[number, number][]} watched @param {number} length */
const watchedInWords = (watched, length) => {
  if (watched.length === 0) return 'Nothing yet'
  const seconds = watched.reduce((sum, [start, end]) => sum + end - start, 0)
  const ranges = watched.slice(0, 6).map(([start, end]) => `${position(start)} to ${position(end)}`)
  const more = watched.length > 6 ? ` and ${watched.length - 6} more` : ''
  return `${position(seconds)} of ${position(length)}: ${ranges.join(', ')}${more}`
}

/** @param {import('./viewing.js').Viewing} viewing @param {number} length of the recording in seconds */
export const showFacts = ({ recording, reason, viewer, expiresAt, watched, playable }, length) => {
  const start = new Date(recording.correctedAt)
  const when = `${clockDate(start)}, ${clockTime(start)} ${clockZone(start)}`
  document.title = `Camera ${recording.camera}, ${when} · Exhibit`
  write('title', `Camera ${recording.camera}`)
  write('subtitle', when)
  write('fact-start', when)
  write('fact-length', position(length))
  write('fact-camera', recording.camera)
  write('fact-officer', recording.officer ?? 'Not known')
  write('fact-file', recording.filename)
  write('fact-id', recording.id)

  const because = reason === null ? 'no reason given' : `reason “${reason}”`
  write('recorded-text', `${viewer}, ${because}. What you watch is written down.`)
  write('fact-watched', watchedInWords(watched, length))
  const until = new Date(expiresAt)
  write('fact-until', `${clockTime(until).slice(0, 5)} ${clockZone(until)}; longer while it plays`)

  const differs = clockDifference(recording.recordedAt, recording.correctedAt)
  element('camera-clock', HTMLElement).hidden = differs === null
  write('camera-clock', differs ?? '')

  const flags = element('flags', HTMLElement)
  const facts = [...endInWords(playable), ...tracksInWords(recording.notPlayed), ...recording.flags.map(flagInWords)]
  const wanted = JSON.stringify(facts)
  if (flags.dataset.shown === wanted) return
  flags.dataset.shown = wanted
  element('about', HTMLElement).hidden = facts.length === 0
  flags.replaceChildren(...facts.map(factItem))
}
