import type { HoldKind, Trigger } from '../engines/retention-tables.ts'
import { dayOf, endFrom, endFromDay, instantOf, periodInWords } from './period.ts'
import { inWords } from './words.ts'

/** The approved policy of a category. Durations in ISO 8601. */
type PolicyFacts = { version: number; trigger: Trigger; period: string }

/** `events`: the latest day, `YYYY-MM-DD`, of each kind that was not withdrawn. */
type CaseFacts = { status: 'open' | 'closed'; events: Record<string, string> }

/** `kind`: null for whoever is only to learn that there is a hold. */
type HoldFacts = { kind: HoldKind | null; placedAt: Date; reviewOn: string | null }

/** All that the date of a recording depends on. */
export type Facts = {
  category: string | null
  correctedAt: Date
  receivedAt: Date
  flags: readonly string[]
  /** Whether its flags are complete. */
  examined: boolean
  policy: PolicyFacts | null
  /** Of which it is an exhibit that was not withdrawn. */
  cases: readonly CaseFacts[]
  /** Those in force. */
  holds: readonly HoldFacts[]
  /** When a second person approved that it goes before its time. */
  deletionApprovedAt: Date | null
  /** When it was last put into one of its cases. */
  exhibitSince: Date | null
}

export type When = Temporal.Instant | 'keep'

/** One rule, and what it says by itself. */
export type Rule = {
  rule: 'hold' | 'open-case' | 'deletion-request' | 'category' | 'case-event'
  when: When
  words: string
}

/** `beatenBy`: in words. */
type Beaten = Rule & { beatenBy: string }

/**
 * What becomes of a recording. `otherwise` is when it would be due if no hold and no open case kept it: where that has come
 * and `when` is `keep`, it is these that keep it.
 */
export type Verdict = { when: When; decided: Rule; beaten: Beaten[]; otherwise: When }

/** Clocks that say nothing: what bears one of these counts from when it was received. */
const distrusted = ['clock_drift', 'clock_implausible']

/**
 * When a recording may be destroyed, and which rule says so: the one place that knows. A hold beats an open case, that an
 * approved request to delete, and that its category's policy, but for what the policy gives an exhibit by the events of its
 * cases; a request from before it became an exhibit beats nothing. Of the dates that remain the latest counts, and what is
 * not known means keep. Everything is computed from the facts alone, by the calendar of the time zone.
 */
export const dateOf = (facts: Facts, zone: string): Verdict => {
  const sheltering = [...facts.holds.map((hold) => holdRule(hold, zone)), ...openCases(facts)]
  const ordinary = ordinaryRules(facts, zone)
  const [decided, ...rest] = [...sheltering, ...ordinary]
  const [otherwise] = ordinary
  if (decided === undefined || otherwise === undefined) throw new Error('no rule says anything')
  return {
    when: decided.when,
    decided,
    beaten: rest.map((rule) => ({ ...rule, beatenBy: whyBeaten(rule, decided) })),
    otherwise: otherwise.when,
  }
}

/** Approved before it became an exhibit: such a request would lie in wait for the night in which its case is closed. */
const isOvertaken = ({ deletionApprovedAt, exhibitSince }: Facts): boolean =>
  deletionApprovedAt !== null && exhibitSince !== null && exhibitSince > deletionApprovedAt

const ordinaryRules = (facts: Facts, zone: string): Rule[] => {
  const [requests, policies] = [deletionRule(facts, zone), policyRules(facts, zone)]
  if (isOvertaken(facts)) return [...policies.toSorted(latestFirst), ...requests]
  const ofCases = facts.cases.length > 0 && policies.some(({ rule }) => rule === 'case-event')
  return ofCases ? [...requests, ...policies].toSorted(latestFirst) : [...requests, ...policies.toSorted(latestFirst)]
}

const latestFirst = (one: Rule, other: Rule): number => {
  if (one.when === 'keep' || other.when === 'keep') return Number(other.when === 'keep') - Number(one.when === 'keep')
  return Temporal.Instant.compare(other.when, one.when)
}

const whyBeaten = (rule: Rule, by: Rule): string => {
  if (rule.rule === by.rule && by.when === 'keep' && rule.when === 'keep') return 'Another such rule keeps it already.'
  switch (by.rule) {
    case 'hold':
      return 'A hold beats every other rule.'
    case 'open-case':
      return 'Nothing inside an open case is taken.'
    case 'deletion-request':
      // That of a case is known here: were it not, no request would have come before it.
      if (rule.rule === 'case-event' && rule.when !== 'keep') return 'The latest date counts.'
      return 'A second person approved that it goes before its time.'
    case 'category':
      if (rule.rule === 'deletion-request') return 'It became an exhibit after that was approved: the request is over.'
      return by.when === 'keep' ? 'What is not known means keep.' : 'The latest date counts.'
    case 'case-event':
      if (rule.rule === 'deletion-request')
        return by.when === 'keep'
          ? 'A request does not beat the events of its cases: what is not known means keep.'
          : 'A request does not beat what the events of its cases give: the latest counts.'
      return by.when === 'keep' ? 'What is not known means keep.' : 'The latest date counts.'
  }
}

const holdRule = ({ kind, placedAt, reviewOn }: HoldFacts, zone: string): Rule => {
  const review = reviewOn === null ? '' : `, to be reviewed on ${reviewOn}`
  const since = dayOf(instantOf(placedAt), zone)
  const why = kind === null ? '' : ` (${inWords(kind)})`
  return { rule: 'hold', when: 'keep', words: `A hold${why} has been on it since ${since}${review}.` }
}

// Which case it is, only its members may know.
const openCases = ({ cases }: Facts): Rule[] =>
  cases.flatMap(({ status }) =>
    status === 'open' ? [{ rule: 'open-case', when: 'keep', words: 'It is an exhibit in an open case.' }] : [],
  )

const deletionRule = ({ deletionApprovedAt }: Facts, zone: string): Rule[] => {
  if (deletionApprovedAt === null) return []
  const when = instantOf(deletionApprovedAt)
  const words = `Its deletion was asked for, and approved by a second person on ${dayOf(when, zone)}: it is due since then.`
  return [{ rule: 'deletion-request', when, words }]
}

const nameOf = (category: string | null): string =>
  category === null ? 'Recordings without a category' : `The category "${category}"`

const policyRules = (facts: Facts, zone: string): Rule[] => {
  const { category, policy } = facts
  if (policy === null)
    return [{ rule: 'category', when: 'keep', words: `${nameOf(category)} has no approved policy: keep.` }]
  if (policy.trigger === 'recorded') return [recordedRule(facts, policy, zone)]
  return caseRules(facts, policy, policy.trigger, zone)
}

const policyInWords = (category: string | null, { version, period }: PolicyFacts): string =>
  `${nameOf(category)}, policy version ${version}: ${periodInWords(period)} from`

/** Where the clock says nothing, or nobody has looked yet whether it does, never from an earlier time than receipt. */
const beginOf = ({ correctedAt, receivedAt, flags, examined }: Facts): { at: Date; words: string } => {
  if (flags.some((flag) => distrusted.includes(flag)))
    return { at: receivedAt, words: "when it was received, as the camera's clock cannot be trusted" }
  if (!examined && receivedAt > correctedAt)
    return { at: receivedAt, words: 'when it was received, as it was not examined yet' }
  return { at: correctedAt, words: 'when it was recorded' }
}

const recordedRule = (facts: Facts, policy: PolicyFacts, zone: string): Rule => {
  const { at, words } = beginOf(facts)
  const begin = instantOf(at)
  const when = endFrom(begin, policy.period, zone)
  const from = `${policyInWords(facts.category, policy)} ${words} (${dayOf(begin, zone)})`
  return { rule: 'category', when, words: `${from}, until ${dayOf(when, zone)}.` }
}

const caseRules = (facts: Facts, policy: PolicyFacts, trigger: Exclude<Trigger, 'recorded'>, zone: string): Rule[] => {
  const event = inWords(trigger)
  const from = `${policyInWords(facts.category, policy)} the day of "${event}"`
  const unknown = (why: string): Rule => ({ rule: 'case-event', when: 'keep', words: `${from}. ${why}: keep.` })
  if (facts.cases.length === 0) return [unknown('It is in no case, so that day is not known')]
  return facts.cases.map(({ status, events }) => {
    if (status === 'open') return unknown('A case of it is still open')
    const day = events[trigger]
    if (day === undefined) return unknown('A closed case of it has no such day')
    const when = endFromDay(day, policy.period, zone)
    return { rule: 'case-event', when, words: `${from} in a closed case (${day}), until ${dayOf(when, zone)}.` }
  })
}
