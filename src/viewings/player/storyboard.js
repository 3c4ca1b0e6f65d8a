// @ts-check
// The storyboard's index (WebVTT): which piece of which sheet shows which seconds.

/** @typedef {{ start: number; end: number; sheet: string; x: number; y: number; width: number; height: number }} Cue */

const timing = /^(?:(\d+):)?(\d\d):(\d\d\.\d{3})\s+-->\s+(?:(\d+):)?(\d\d):(\d\d\.\d{3})/
const place = /^(.+)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/

/** @param {(string | undefined)[]} parts hours, minutes, seconds */
const seconds = ([hours, minutes, rest]) => Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(rest)

/** Cues that are not understood are left out. @param {string} text @returns {Cue[]} */
export const cuesOf = (text) =>
  text
    .split(/\r?\n\r?\n+/)
    .map((block) => block.split(/\r?\n/))
    .flatMap((lines) => {
      const at = lines.findIndex((line) => timing.test(line))
      const times = timing.exec(lines[at] ?? '')
      const where = place.exec(lines[at + 1] ?? '')
      if (times === null || where === null) return []
      const [x = 0, y = 0, width = 0, height = 0] = where.slice(2).map(Number)
      return [
        {
          start: seconds(times.slice(1, 4)),
          end: seconds(times.slice(4, 7)),
          sheet: where[1] ?? '',
          x,
          y,
          width,
          height,
        },
      ]
    })

/** The cue of a time; of one after the last, the last. @param {Cue[]} cues @param {number} time */
export const cueAt = (cues, time) => cues.find(({ end }) => time < end) ?? cues.at(-1)

/** The index, or none while there is none. The sheets are sight: they are fetched only when one is looked at. */
export const loadStoryboard = async () => {
  const answer = await fetch('storyboard.vtt').catch(() => undefined)
  return answer?.ok === true ? cuesOf(await answer.text()) : []
}
