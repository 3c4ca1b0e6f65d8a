import type { RenditionFacts } from '../engines/tables.ts'

const part = (value: number, digits = 2): string => String(value).padStart(digits, '0')

/** A WebVTT time stamp. */
const stamp = (seconds: number): string => {
  const ms = Math.round(seconds * 1000)
  const [hours, minutes] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60]
  return `${part(hours)}:${part(minutes)}:${part(Math.floor(ms / 1000) % 60)}.${part(ms % 1000, 3)}`
}

/**
 * The storyboard's index as WebVTT: for each stretch of time the part of a sheet that shows it, relative to the index.
 * `sheets` are the sheets' names in order; `duration` of the recording in seconds, where it is known.
 */
export const storyboardIndex = (facts: RenditionFacts, sheets: readonly string[], duration: number | null): string => {
  const { interval = 0, columns = 1, rows = 1, width = 0, height = 0 } = facts
  const perSheet = columns * rows
  const count = Math.min(facts.pictures ?? 0, sheets.length * perSheet)
  const cues = Array.from({ length: count }, (_, n) => {
    const place = n % perSheet
    const [x, y] = [(place % columns) * width, Math.floor(place / columns) * height]
    const start = n * interval
    const next = start + interval
    // The last picture stands for whatever is left.
    const end = n === count - 1 && duration !== null && duration > start ? duration : next
    const sheet = sheets[Math.floor(n / perSheet)]
    return `${stamp(start)} --> ${stamp(end)}\nstoryboard/${sheet}#xywh=${x},${y},${width},${height}\n`
  })
  return ['WEBVTT\n', ...cues].join('\n')
}
