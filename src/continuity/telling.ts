import type { Json } from '../base/canonical.ts'

/** Reads in a value that an entry keeps: what is not there, or of another kind, is undefined. */
export const memberAt = (value: Json | undefined, ...path: string[]): Json | undefined => {
  let at = value
  for (const member of path) at = typeof at === 'object' && at !== null && !Array.isArray(at) ? at[member] : undefined
  return at
}

export const textAt = (value: Json | undefined, ...path: string[]): string | undefined => {
  const found = memberAt(value, ...path)
  return typeof found === 'string' ? found : undefined
}

const numberAt = (value: Json | undefined, ...path: string[]): number | undefined => {
  const found = memberAt(value, ...path)
  return typeof found === 'number' ? found : undefined
}

/** The texts of a list. */
const textsAt = (value: Json | undefined, ...path: string[]): string[] => {
  const found = memberAt(value, ...path)
  return Array.isArray(found) ? found.filter((each) => typeof each === 'string') : []
}

/** What the visible detail of an act says, and the id of what the act was about. */
export type Told = {
  text(...path: string[]): string | undefined
  number(...path: string[]): number | undefined
  texts(...path: string[]): string[]
  json: Json | undefined
  subject: string
}

/** A sentence for each fine verb. It is whole without the detail, which may be sealed or erased. */
export type Words = Record<string, (told: Told) => string>

export const toldBy = (detail: Json | undefined, subject: string): Told => ({
  text: (...path) => textAt(detail, ...path),
  number: (...path) => numberAt(detail, ...path),
  texts: (...path) => textsAt(detail, ...path),
  json: detail,
  subject,
})
