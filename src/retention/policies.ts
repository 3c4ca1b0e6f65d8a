import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, newId, type PolicyId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { PolicyRow, SealedPart, Trigger } from '../engines/retention-tables.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { checkMaybeReason } from '../people/reasons.ts'
import { checkPeriod } from './period.ts'
import {
  approve,
  approvedSince,
  hasSeen,
  insertPolicy,
  lockCategory,
  newestSimulation,
  newestVersion,
  policiesPage,
  policyById,
  policyForUpdate,
  type ShownSimulation,
  supersede,
} from './policy-queries.ts'
import { asSentence } from './words.ts'

export type Draft = {
  /** Null for recordings that have none. */
  category: string | null
  trigger: Trigger
  period: string
  grace?: string
  sealed?: SealedPart[]
}

/** Where a draft says nothing, and where a recording without a policy is deleted on request. */
export const usualGrace = 'P30D'
const usualSealed: SealedPart[] = ['detail']

/** What an entry says of a policy. */
export const policyInEntry = (
  policy: Pick<PolicyRow, 'id' | 'category' | 'version' | 'trigger' | 'period' | 'grace'>,
) => {
  const { id, category, version, trigger, period, grace } = policy
  return { id, category, version, trigger, period, grace }
}

/** Drafts the next version of a category's policy; nothing changes by it. Throws `bad-request` for periods that are none. */
export const draftPolicy = async (engines: Engines, person: Person, draft: Draft): Promise<PolicyRow> => {
  const { clock, db } = engines
  const { category, trigger } = draft
  const period = checkPeriod(draft.period, 'The period')
  const grace = checkPeriod(draft.grace ?? usualGrace, 'The grace')
  const sealed = [...new Set(draft.sealed ?? usualSealed)]
  if (category !== null && category.trim() === '') throw new Problem('bad-request', 'The category is empty.')
  return await inTransaction(db, async (tx) => {
    await lockCategory(tx, category)
    const version = (await newestVersion(tx, category)) + 1
    const id = newId<PolicyId>()
    const policy = { id, category, version, trigger, period, grace, sealed, state: 'draft' } as const
    await insertPolicy(tx, { ...policy, draftedBy: person.id, draftedAt: clock.now() })
    await record(tx, clock, {
      operation: 'administration',
      action: 'policy.drafted',
      subject: { type: 'policy', id },
      actor: actor(person, 'policy.draft'),
      policy: policyInEntry(policy),
      detail: { sealed },
    })
    const made = await policyById(tx, id)
    if (made === undefined) throw new Error('a draft that was just made is not there')
    return made
  })
}

/**
 * Puts a drafted policy into force, in place of the one before it. Throws `bad-request`, `not-found`, `conflict`,
 * `same-person` for whoever drafted it, and `simulation-needed` unless this person has seen what a simulation found that is still true.
 */
export const approvePolicy = async (
  engines: Engines,
  person: Person,
  id: PolicyId,
  reason: string | undefined,
): Promise<PolicyRow> => {
  const { clock, config, db } = engines
  const purpose = checkMaybeReason(config, person, reason)
  const act = {
    operation: 'administration',
    action: 'policy.approve',
    subject: { type: 'policy', id },
    actor: actor(person, 'policy.approve'),
  } as const
  const done = await inTransaction(db, async (tx) => {
    const drafted = await policyById(tx, id)
    if (drafted === undefined) throw new Problem('not-found')
    await lockCategory(tx, drafted.category)
    const policy = await policyForUpdate(tx, id)
    if (policy === undefined) throw new Problem('not-found')
    if (policy.state !== 'draft') throw new Problem('conflict', `The policy is ${policy.state} already.`)
    if (policy.draftedBy === person.id) return new Problem('same-person')
    const simulation = await newestSimulation(tx, id)
    const now = clock.now()
    const changed = simulation !== undefined && (await approvedSince(tx, policy.category, simulation.askedAt))
    const why = whyNotEnough(simulation, changed, now, config.SIMULATION_HOURS)
    if (why !== undefined || simulation === undefined) return new Problem('simulation-needed', why)
    if (!(await hasSeen(tx, simulation.id, person.id)))
      return new Problem('simulation-needed', 'You have not seen what it would do: read its simulation first.')
    const supersedes = await supersede(tx, policy.category, now)
    await approve(tx, id, person.id, now)
    await record(tx, clock, {
      ...act,
      action: 'policy.approved',
      ...(purpose === undefined ? {} : { purpose }),
      policy: policyInEntry(policy),
      detail: {
        draftedBy: policy.draftedBy,
        simulation: simulation.id,
        counts: simulation.counts,
        ...(supersedes === undefined ? {} : { supersedes }),
      },
    })
    return await policyById(tx, id)
  })
  if (done === undefined) throw new Error('a policy that was just approved is not there')
  if (!(done instanceof Problem)) return done
  await recordRefusal(engines, act)
  throw done
}

/** Why a simulation will not be ready, in words: its job gave up. Null while it may be. */
export const whyFailed = ({ state, jobState, jobSaid }: ShownSimulation): string | null =>
  state === 'ready' || jobState !== 'failed'
    ? null
    : `The simulation gave up: ${asSentence(jobSaid)} Nothing has changed. Simulate the draft again; where that fails too, an administrator can look at its job.`

/** Why a simulation does not say any more what the policy would do; undefined when it does. */
const whyNotEnough = (
  simulation: ShownSimulation | undefined,
  changed: boolean,
  now: Date,
  hours: number,
): string | undefined => {
  if (simulation === undefined) return 'Nobody has simulated it yet.'
  const failure = whyFailed(simulation)
  if (failure !== null) return failure
  if (simulation.state !== 'ready') return 'Its simulation is not ready yet.'
  if (changed) return 'Another version of this policy was approved since it was simulated: simulate it again.'
  const old = now.getTime() - simulation.askedAt.getTime() > hours * 3_600_000
  return old ? `Its simulation is older than ${hours} hours: simulate it again.` : undefined
}

export const policyView = (policy: PolicyRow) => {
  const { id, category, version, trigger, period, grace, sealed, state, draftedBy, approvedBy } = policy
  return {
    id,
    category,
    version,
    trigger,
    period,
    grace,
    sealed,
    state,
    draftedBy,
    draftedAt: iso(policy.draftedAt),
    approvedBy,
    approvedAt: policy.approvedAt === null ? null : iso(policy.approvedAt),
    supersededAt: policy.supersededAt === null ? null : iso(policy.supersededAt),
  }
}

/** One page of all policies, whatever their state, newest first. Throws `bad-request` for a foreign cursor. */
export const listPolicies = async (engines: Engines, limit: number, cursor: string | undefined) => {
  const [before] = cursor === undefined ? [] : decodeCursor(cursor)
  if (before !== undefined && !Value.Check(IdOf.policy, before)) throw cursorProblem()
  const rows = await policiesPage(engines.db, before, limit + 1)
  return cutPage(rows, limit, policyView, ({ id }) => [id])
}
