// @ts-check
// What the page has to say: one line that is seen, and one that is only read aloud.
import { element, write } from './element.js'

/** Of several at once the first of these is shown. */
const order = /** @type {const} */ (['failed', 'trouble', 'lost', 'making', 'sound-only'])

/** @typedef {typeof order[number]} Kind */

export const makeNotices = () => {
  /** @type {Map<Kind, string>} */
  const current = new Map()
  const box = element('notice', HTMLElement)
  const again = element('again', HTMLButtonElement)
  let told = ''

  /** @param {string} words */
  const say = (words) => write('said', words)

  const draw = () => {
    const kind = order.find((one) => current.has(one))
    const text = kind === undefined ? '' : (current.get(kind) ?? '')
    box.hidden = kind === undefined
    again.hidden = kind !== 'trouble' && kind !== 'lost'
    write('notice-text', text)
    // Progress moves every other second; it is read aloud when its words change, not at each step.
    const wording = text.replaceAll(/\d+/g, '')
    if (wording !== told && kind !== undefined) say(text)
    told = wording
  }
  return {
    say,
    /** @param {Kind} kind @param {string | undefined} text undefined: no longer so */
    tell: (kind, text) => {
      if (text === undefined) current.delete(kind)
      else current.set(kind, text)
      draw()
    },
  }
}
