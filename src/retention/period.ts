import { Problem } from '../base/problem.ts'

const longestYears = 200
const anywhere = Temporal.PlainDateTime.from('2000-01-01T00:00')
const latest = anywhere.add({ years: longestYears })

/**
 * An ISO 8601 duration such as `P31D`, `P6M` or `P6Y6M` in its usual spelling. Throws `bad-request`, in words, unless it is
 * one that lasts longer than nothing and no longer than 200 years. `name` says which it is.
 */
export const checkPeriod = (text: string, name: string): string => {
  const refuse = (why: string): Problem => new Problem('bad-request', `${name} ${why}`)
  const period = durationIn(text)
  if (period === undefined) throw refuse('is not an ISO 8601 duration, such as P31D, P6M or P6Y.')
  if (period.sign < 0) throw refuse('is negative: nothing can be due before it was made.')
  if (period.sign === 0) throw refuse('is zero: everything would be due the moment it arrives.')
  if (!endsInTime(period)) throw refuse(`is longer than ${longestYears} years.`)
  return period.toString()
}

const durationIn = (text: string): Temporal.Duration | undefined => {
  try {
    return Temporal.Duration.from(text)
  } catch {
    return undefined
  }
}

const endsInTime = (period: Temporal.Duration): boolean => {
  try {
    return Temporal.PlainDateTime.compare(anywhere.add(period), latest) <= 0
  } catch {
    return false
  }
}

const units = ['years', 'months', 'weeks', 'days', 'hours', 'minutes', 'seconds'] as const

/** `6 months`, `1 year and 1 day`. */
export const periodInWords = (text: string): string => {
  const period = Temporal.Duration.from(text)
  const words = units.flatMap((unit) => {
    const count = period[unit]
    return count === 0 ? [] : [`${count} ${count === 1 ? unit.slice(0, -1) : unit}`]
  })
  const last = words.pop() ?? text
  return words.length === 0 ? last : `${words.join(', ')} and ${last}`
}

/** When a period ends that began at an instant: by the calendar and the clock on the wall of the time zone. */
export const endFrom = (begin: Temporal.Instant, period: string, zone: string): Temporal.Instant =>
  begin.toZonedDateTimeISO(zone).add(Temporal.Duration.from(period)).toInstant()

/**
 * When a period ends that counts from an event's day (`YYYY-MM-DD`). The day itself does not count, and the last one does to
 * its end: six months from 31 January end with 31 July, that is as 1 August begins.
 */
export const endFromDay = (day: string, period: string, zone: string): Temporal.Instant => {
  const { years, months, weeks, days, ...rest } = parts(Temporal.Duration.from(period))
  const lastDay = Temporal.PlainDate.from(day).add({ years, months, weeks, days })
  return lastDay.add({ days: 1 }).toZonedDateTime(zone).add(rest).toInstant()
}

const parts = ({ years, months, weeks, days, hours, minutes, seconds, ...rest }: Temporal.Duration) => {
  const { milliseconds, microseconds, nanoseconds } = rest
  return { years, months, weeks, days, hours, minutes, seconds, milliseconds, microseconds, nanoseconds }
}

/** The day of an instant in the time zone, as `YYYY-MM-DD`. */
export const dayOf = (at: Temporal.Instant, zone: string): string =>
  at.toZonedDateTimeISO(zone).toPlainDate().toString()

export const instantOf = (at: Date): Temporal.Instant => Temporal.Instant.fromEpochMilliseconds(at.getTime())

/** A day that exists, from `YYYY-MM-DD`. Throws `bad-request`. */
export const checkDay = (text: string, name: string): Temporal.PlainDate => {
  try {
    if (/^\d{4}-\d\d-\d\d$/.test(text)) return Temporal.PlainDate.from(text, { overflow: 'reject' })
  } catch {}
  throw new Problem('bad-request', `${name} is not a day that exists, such as 2026-12-26.`)
}
