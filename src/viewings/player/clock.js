// @ts-check
// Times as people read them. The recording's own time is the wall clock of the place it was made in.

const zone = 'Europe/London'
const time = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeStyle: 'medium' })
const date = new Intl.DateTimeFormat('en-GB', { timeZone: zone, day: 'numeric', month: 'long', year: 'numeric' })
const name = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'short' })

/** `22:15:04`, or `22:15:04.320` where the exact frame matters. @param {Date} at @param {{ exact?: boolean }} [how] */
export const clockTime = (at, { exact = false } = {}) =>
  exact ? `${time.format(at)}.${String(at.getUTCMilliseconds()).padStart(3, '0')}` : time.format(at)

/** `25 November 2026`. @param {Date} at */
export const clockDate = (at) => date.format(at)

/** `GMT` or `BST`. @param {Date} at */
export const clockZone = (at) => name.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? ''

/** A moment of the recording, rounded so that a frame at 0.32 s is not shown as .319. @param {string} start @param {number} seconds */
export const momentOf = (start, seconds) => new Date(Date.parse(start) + Math.round(seconds * 1000))

/** @param {number} seconds */
const parts = (seconds) => {
  const whole = Math.floor(Math.max(0, seconds) + 1e-6)
  return { hours: Math.floor(whole / 3600), minutes: Math.floor(whole / 60) % 60, seconds: whole % 60 }
}

/** `0:12`, `1:02:03`. @param {number} length in seconds */
export const position = (length) => {
  const { hours, minutes, seconds } = parts(length)
  const tail = String(seconds).padStart(2, '0')
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`
}

/** `1 minute 12 seconds`. @param {number} length in seconds */
export const spoken = (length) => {
  const { hours, minutes, seconds } = parts(length)
  const said = Object.entries({ hour: hours, minute: minutes, second: seconds })
    .filter(([, count]) => count > 0)
    .map(([word, count]) => `${count} ${word}${count === 1 ? '' : 's'}`)
  return said.length > 0 ? said.join(' ') : '0 seconds'
}

/** What the camera showed where it differs from the corrected time, or null. @param {string} recordedAt @param {string} correctedAt */
export const clockDifference = (recordedAt, correctedAt) => {
  const seconds = Math.round((Date.parse(recordedAt) - Date.parse(correctedAt)) / 1000)
  if (Date.parse(recordedAt) === Date.parse(correctedAt)) return null
  const how = seconds === 0 ? 'less than a second off' : `${spoken(Math.abs(seconds))} ${seconds < 0 ? 'slow' : 'fast'}`
  const shown = new Date(recordedAt)
  return `The camera clock differs: it showed ${clockTime(shown)} on ${clockDate(shown)} at the start, ${how}. The time on this page is corrected.`
}
