import { Type } from 'typebox'

/** RFC 3339 with a zone, as clients send it. */
export const Time = Type.String({ format: 'date-time', maxLength: 40, examples: ['2026-11-25T22:15:00Z'] })

/** RFC 3339 in UTC with microseconds, the form of an entry's `at`. */
export const micros = (at: Temporal.Instant): string => at.toString({ fractionalSecondDigits: 6 })

export const iso = (at: Date): string => at.toISOString()
