// @ts-check
// How far the playable form is, in words.
import { isWhole } from './viewing.js'

const failed =
  'This recording could not be made playable. The original is kept unaltered and can be downloaded; an administrator can have the playable form made again.'

/**
 * Whether there may be something to play, and what to tell: each text is undefined where it does not apply.
 * @param {import('./viewing.js').Viewing} viewing
 * @param {number} available how many seconds can be played already
 */
export const progressOf = ({ playable: { hls, proxy } }, available) => {
  const parts = [hls, proxy].filter((part) => part !== null)
  const ready = parts.some(isWhole)
  const able = ready || parts.some(({ state, playable }) => playable || state === 'working')
  const next = ready ? undefined : parts.find(({ state }) => state !== 'failed')
  const percent = Math.round((next?.progress ?? 0) * 100)
  const there =
    available > 0 ? 'What is there can be watched already.' : 'It starts as soon as there is something to see.'
  return {
    able,
    failed: next === undefined && !ready && parts.length > 0 ? failed : undefined,
    waiting: next === undefined ? undefined : `Still being made ready to play: ${percent} %. ${there}`,
  }
}
