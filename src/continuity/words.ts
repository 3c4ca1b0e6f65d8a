import type { Json } from '../base/canonical.ts'
import { attempts } from './attempts.ts'
import { type Told, toldBy, type Words } from './telling.ts'
import { caseWords } from './words-of-cases.ts'
import { custodyWords } from './words-of-custody.ts'
import { houseWords } from './words-of-house.ts'
import { retentionWords } from './words-of-retention.ts'
import { sightWords } from './words-of-sight.ts'

/** What was done, by the act's fine verb. */
const done: Words = { ...custodyWords, ...sightWords, ...caseWords, ...retentionWords, ...houseWords }

export const actionsWithWords: readonly string[] = [...Object.keys(done), ...Object.keys(attempts)]

const refusal = (action: string, told: Told): string => {
  const wish = attempts[action]
  const asked = wish === undefined ? `for what is recorded as ${action}` : wish
  const repeats = told.number('repeats')
  if (repeats === undefined) return `Somebody asked ${asked}, and was refused.`
  return `The same person or device asked ${asked} again within a minute, ${repeats} more ${repeats === 1 ? 'time' : 'times'}, and was refused.`
}

/** One act in plain words. `detail` is what the reader may see of it. */
export const wordsOf = (
  { action, outcome, subject }: { action: string; outcome: string; subject: string },
  detail: Json | undefined,
): string => {
  const told = toldBy(detail, subject)
  const words = done[action]
  // Some denials are acts of their own, which say themselves what was refused.
  if (words !== undefined && (outcome !== 'denied' || attempts[action] === undefined)) return words(told)
  if (outcome === 'denied') return refusal(action, told)
  const wish = attempts[action]
  return wish === undefined
    ? `What is recorded as ${action} was done.`
    : `Somebody was let do what they asked: ${wish}.`
}
