import type { EntryId, PersonId } from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import { mayPerson } from '../people/permissions.ts'
import type { Role } from '../people/role.ts'
import { seesAll } from '../people/visibility.ts'

export type Part = keyof SealedParts
export const everyPart = ['actor', 'purpose', 'recipient', 'policy', 'detail'] as const satisfies readonly Part[]

/** What decides who sees how much of an act. */
export type ActFacts = {
  operation: string
  action: string
  outcome: string
  /** Undefined where it was erased. */
  actor: { kind: string; id: string } | undefined
  /** Whether it names a clip. */
  aboutClip: boolean
  /**
   * Null for an act that is of no case. `of` is the case in which it was done, undefined where that is not known; `named`
   * are all that its detail names.
   */
  inCase: { of: string | undefined; named: readonly string[] } | null
}

/**
 * `withheld`: not even which act it was. `summed`: its words may draw on the detail, be it sealed. `words`: others than the
 * usual ones.
 */
export type Seen = 'withheld' | { parts: readonly Part[]; summed?: boolean; words?: string }
export type Sight = (act: ActFacts, id: EntryId) => Seen

/** `memberOf`: the ids of the cases this person is a member of. */
export type Reader = { id: PersonId; roles: readonly Role[]; memberOf: ReadonlySet<string> }

const custody = ['collection', 'alteration', 'erasure']
const machines = ['service', 'dock', 'operator']
/** That something is wrong with the footage is everybody's to know; in which bundle it came to light is not. */
const alarms = ['recording.mismatch-found']

const holding = ['recording.held', 'recording.hold-released', 'hold.place', 'hold.release']

const isByMachine = ({ actor }: ActFacts): boolean => actor !== undefined && machines.includes(actor.kind)
const isRefused = ({ outcome }: ActFacts): boolean => outcome === 'denied'
const isLooking = ({ operation, action }: ActFacts): boolean =>
  operation === 'consultation' || action === 'bundle.download'

/** Of an act that is of no case, or of one of theirs. */
const ofOthers = (reader: Reader, act: ActFacts): Part[] => {
  const custodial = isByMachine(act) || (custody.includes(act.operation) && !isRefused(act))
  // Why their own footage is held is not for those to read whom it may be about.
  const unsealed = !act.aboutClip || mayPerson(reader.roles, 'clip.read')
  const detailed = unsealed && (!holding.includes(act.action) || seesAll(reader))
  return [...(custodial ? (['actor'] as const) : []), 'policy', ...(detailed ? (['detail'] as const) : [])]
}

/**
 * What a person sees of an act: supervisors and auditors everything, everybody everything of their own acts. Others see who
 * had the footage in hand and what was done to it; of whoever looked, downloaded, disclosed or held it neither name nor
 * reason; of cases they are no member of nothing, not even that there is one. Members see in their case what its history
 * tells, and never of another case.
 */
export const sightOf =
  (reader: Reader): ((act: ActFacts) => Seen) =>
  (act) => {
    const { actor, inCase } = act
    if (reader.roles.includes('supervisor') || reader.roles.includes('auditor')) return { parts: everyPart }
    if (actor?.kind === 'person' && actor.id === reader.id) return { parts: everyPart }
    if (inCase === null) return { parts: ofOthers(reader, act) }
    if (inCase.of === undefined || !reader.memberOf.has(inCase.of))
      return alarms.includes(act.action) ? { parts: [] } : 'withheld'
    if (isLooking(act) || isRefused(act)) return { parts: ofOthers(reader, act) }
    const strange = inCase.named.some((id) => !reader.memberOf.has(id))
    // The words of a history name no other case.
    return strange ? { parts: everyPart.filter((part) => part !== 'detail'), summed: true } : { parts: everyPart }
  }
