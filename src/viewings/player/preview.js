// @ts-check
// The small picture over the seek bar.
import { cueAt, loadStoryboard } from './storyboard.js'

/** @param {HTMLElement} box holds `.preview-picture` and `.preview-time` */
export const makePreview = (box) => {
  const picture = /** @type {HTMLElement} */ (box.querySelector('.preview-picture'))
  const time = /** @type {HTMLElement} */ (box.querySelector('.preview-time'))
  /** @type {import('./storyboard.js').Cue[]} */
  let cues = []

  return {
    /** Fetches the index once it is there; where that does not succeed, the next call tries again. */
    prepare: async () => {
      if (cues.length === 0) cues = await loadStoryboard()
    },
    hide: () => {
      box.hidden = true
    },
    /** @param {number} seconds @param {number} share of the bar, 0 to 1 @param {string} words */
    show: (seconds, share, words) => {
      const cue = cueAt(cues, seconds)
      picture.hidden = cue === undefined
      if (cue !== undefined) {
        picture.style.width = `${cue.width}px`
        picture.style.height = `${cue.height}px`
        picture.style.backgroundImage = `url("${new URL(cue.sheet, document.baseURI).href}")`
        picture.style.backgroundPosition = `-${cue.x}px -${cue.y}px`
      }
      time.textContent = words
      box.hidden = false
      // Kept inside the bar at both ends.
      const room = (box.parentElement?.clientWidth ?? 0) - box.offsetWidth
      const middle = share * (box.parentElement?.clientWidth ?? 0) - box.offsetWidth / 2
      box.style.left = `${Math.max(0, Math.min(room, middle))}px`
    },
  }
}
