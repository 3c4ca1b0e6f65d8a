// @ts-check
// The end of a viewing, in words: what happened, what was kept, what to do.
import { element, write } from './element.js'

const ended = {
  title: 'This viewing has ended',
  text: 'Its time was over, or it was closed. Viewings are short-lived so that a page left open is not a door left open.',
  next: 'To watch on, open the recording again and give your reason: a new viewing begins.',
}
const gone = {
  title: 'This recording can no longer be watched',
  text: 'It is no longer among the recordings that are open for viewing.',
  next: 'Its page says how it stands now. If you need it for a case, speak to a supervisor.',
}
const withdrawn = {
  title: 'You may no longer watch this recording',
  text: 'The right to see it was withdrawn while this page was open.',
  next: 'If you think this is a mistake, speak to a supervisor.',
}
const unknown = {
  title: 'There is no viewing at this address',
  text: 'The address may be incomplete or altered, or the viewing is long over.',
  next: 'Open the recording again and give your reason: a new viewing begins.',
}

/** @param {import('./viewing.js').Refusal} refusal */
const wordsFor = ({ status }) => {
  if (status === 403) return withdrawn
  if (status === 409 || status === 422) return gone
  return status === 410 ? ended : unknown
}

/** Takes the picture away and says why. @param {import('./viewing.js').Refusal} refusal */
export const showOver = (refusal) => {
  const { title, text, next } = wordsFor(refusal)
  if (document.fullscreenElement !== null) document.exitFullscreen().catch(() => undefined)
  const help = element('help', HTMLDialogElement)
  if (help.open) help.close()
  element('watching', HTMLElement).hidden = true
  element('recorded', HTMLElement).hidden = true
  element('over', HTMLElement).hidden = false
  write('over-title', title)
  write('over-text', refusal.detail ?? text)
  write('over-next', next)
  element('over-title', HTMLElement).focus()
}
