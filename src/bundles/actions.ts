import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type BundleId, type CaseId, IdOf, newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import { asked, caseOfMember, Refusal } from '../cases/access.ts'
import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'
import { owe } from '../jobs/outbox.ts'
import { record } from '../ledger/record.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { largestBundle, printedLine, whyNotDisclosed } from './bundle.ts'
import {
  bundleById,
  bundleShown,
  bundlesOf,
  exhibitsToDisclose,
  insertBundle,
  nextSchedule,
  numbersOf,
  personToServe,
  recordingsBehind,
  type ShownBundle,
  sensitiveOf,
  shareRecordings,
} from './queries.ts'
import type { BundleRequest, BundlesQuery } from './schemas.ts'
import { withheldOf } from './withheld.ts'

type Wanted = Awaited<ReturnType<typeof exhibitsToDisclose>>

const mustFit = (wanted: Wanted, includeOriginals: boolean): void => {
  const bytes = wanted.reduce(
    (sum, { clip, row }) => sum + (clip === null ? row.size : (row.clipSize ?? 0) + (includeOriginals ? row.size : 0)),
    0,
  )
  if (bytes <= largestBundle) return
  const gib = (size: number) => `${Math.floor(size / 1024 ** 3)} GiB`
  throw new Problem(
    'too-large',
    `These exhibits have ${gib(bytes)}; a bundle holds ${gib(largestBundle)}. Make several.`,
  )
}

/**
 * One bundle of a person is made at once: receipts must not wait behind somebody's twenty. Each that ends makes the next one
 * due; should that ever not happen, it becomes due by itself after so many seconds a place.
 */
const secondsAPlace = 1800

/** How many bundles of this person come before another one. */
const placeOf = async (tx: Tx, { config }: Engines, person: Person): Promise<number> => {
  const { suspended, owed } = await personToServe(tx, person.id)
  if (suspended) throw new Problem('suspended')
  if (owed < config.BUNDLES_OWED) return owed
  const detail = `A person may be owed ${config.BUNDLES_OWED} bundles at once.`
  throw new Problem('too-many-bundles', detail, { retryAfter: 60 })
}

/**
 * Owes a bundle of exhibits of a case, for a member. The entry, with who gets it and what for, commits with it, and so does
 * the job. Throws `bad-request`, `not-found`, `not-ready`, `exhibit-sensitive`, `conflict`, `quarantined`, `erased`,
 * `too-large`, `too-many-bundles`.
 */
export const requestBundle = async (
  engines: Engines,
  person: Person,
  id: CaseId,
  request: BundleRequest,
): Promise<{ id: BundleId }> =>
  await asked(engines, person, 'bundle.request', async (tx) => {
    const { clock } = engines
    const subject = { type: 'case', id } as const
    const { exhibitIds, includeOriginals } = request
    const recipient = printedLine(request.recipient, 'recipient')
    const purpose = printedLine(request.purpose, 'purpose')
    await caseOfMember(tx, person, id)
    const recordings = await recordingsBehind(tx, id, exhibitIds)
    await shareRecordings(tx, recordings)
    await caseOfMember(tx, person, id, { lock: 'update' })
    const wanted = await exhibitsToDisclose(tx, id, exhibitIds)
    if (wanted.length < exhibitIds.length)
      throw new Refusal(new Problem('not-found', 'Not all of these are exhibits of this case.'), subject)
    const problem = whyNotDisclosed(wanted, await sensitiveOf(tx, id, recordings), includeOriginals)
    if (problem?.code === 'exhibit-sensitive') throw new Refusal(problem, subject)
    if (problem !== undefined) throw problem
    const askedAt = clock.now()
    mustFit(wanted, includeOriginals)
    const place = await placeOf(tx, engines, person)
    const dueAt = new Date(askedAt.getTime() + place * secondsAPlace * 1000)

    const bundle = newId<BundleId>()
    const schedule = await nextSchedule(tx, id)
    const numbers = await numbersOf(
      tx,
      id,
      wanted.map(({ exhibit }) => exhibit),
      askedAt,
    )
    const exhibits = wanted.map(({ exhibit, reference, row }) => {
      const number = numbers.get(exhibit)
      if (number === undefined) throw new Error('an exhibit without its number')
      const { description, recording, clip } = row
      return { bundle, exhibit, number, reference, description, recording, clip }
    })
    const entry = await record(tx, clock, {
      operation: 'disclosure',
      action: 'bundle.asked',
      subject: { type: 'bundle', id: bundle },
      actor: actor(person, 'bundle.request'),
      purpose,
      recipient,
      detail: {
        case: id,
        schedule,
        includeOriginals,
        // With the footage of each: whoever checks the bundle can tell that no exhibit took the place of another.
        exhibits: exhibits.map(({ exhibit, reference, number, recording, clip }) => ({
          ...{ exhibit, reference, item: number, recording },
          ...(clip === null ? {} : { clip }),
        })),
      },
    })
    const job = await owe(
      tx,
      clock,
      'make-bundle',
      { bundleId: bundle },
      place === 0 ? { cause: entry } : { cause: entry, dueAt },
    )
    const unmade = { state: 'owed', failure: null, size: null, sha256: null } as const
    await insertBundle(
      tx,
      {
        id: bundle,
        case: id,
        schedule,
        person: person.id,
        recipient,
        purpose,
        includeOriginals,
        ...unmade,
        entry,
        job,
        askedAt,
      },
      exhibits,
    )
    return { id: bundle }
  })

/** Its job gave up for a reason of the machine's: to whoever asked, that is a failure like another. */
const gaveUp =
  'It could not be made here just now, which says nothing about the exhibits: they are kept. An administrator can have it tried again.'

/** Why a bundle that was made is no longer kept here. */
const goneWith = (erased: readonly string[]): string =>
  `The footage of ${erased.join(', ')} was erased, and this copy with it. Whoever received the bundle has theirs.`

/** One that is gone is not withheld as well. */
const view = (bundle: ShownBundle, withheld: Problem | undefined) => {
  const lost = bundle.state !== 'ready' && bundle.state !== 'failed' && bundle.jobState === 'failed'
  const { id, schedule, recipient, purpose, includeOriginals, exhibits, progress, size, sha256 } = bundle
  return {
    id,
    caseId: bundle.case,
    schedule,
    askedBy: { id: bundle.person, name: bundle.name },
    ...{ recipient, purpose, includeOriginals, exhibits },
    state: lost ? ('failed' as const) : bundle.state,
    progress,
    waitsFor: bundle.state === 'owed' && !lost ? bundle.waitsFor : null,
    failure: lost ? gaveUp : bundle.failure,
    ...{ size, sha256 },
    gone: bundle.state === 'ready' && bundle.erased.length > 0 ? goneWith(bundle.erased) : null,
    withheld: withheld === undefined || bundle.erased.length > 0 ? null : withheld.message,
    askedAt: iso(bundle.askedAt),
    endedAt: bundle.endedAt === null ? null : iso(bundle.endedAt),
  }
}

/** Asking how far one's own bundle is, again and again, is not looking at anything. */
const isWaiting = ({ state, person }: ShownBundle, who: Person) =>
  person === who.id && (state === 'owed' || state === 'working')

/** How far a bundle is, for a member of its case; an entry, but for whoever waits for it. Throws `not-found`. */
export const readBundle = async (engines: Engines, person: Person, id: BundleId) =>
  await asked(engines, person, 'bundle.read', async (tx) => {
    const subject = { type: 'bundle', id } as const
    const place = await bundleById(tx, id)
    if (place === undefined) throw new Problem('not-found')
    await caseOfMember(tx, person, place.case, { subject })
    const bundle = await bundleShown(tx, id)
    if (!isWaiting(bundle, person)) {
      await record(tx, engines.clock, {
        operation: 'consultation',
        action: 'bundle.read',
        subject,
        actor: actor(person, 'bundle.read'),
      })
    }
    return view(bundle, (await withheldOf(tx, place.case, [bundle])).get(id))
  })

const beforeOf = (cursor: string | undefined): BundleId | undefined => {
  if (cursor === undefined) return undefined
  const [id] = decodeCursor(cursor)
  if (!Value.Check(IdOf.bundle, id)) throw cursorProblem()
  return id
}

/** One page of the bundles of a case, newest first, for a member; an entry. Throws `not-found`, `bad-request`. */
export const listBundles = async (engines: Engines, person: Person, id: CaseId, query: BundlesQuery) => {
  const { limit = defaultLimit } = query
  const before = beforeOf(query.cursor)
  return await asked(engines, person, 'bundle.read', async (tx) => {
    await caseOfMember(tx, person, id)
    const rows = await bundlesOf(tx, id, before, limit + 1)
    const withheld = await withheldOf(tx, id, rows)
    const page = cutPage(
      rows,
      limit,
      (row) => view(row, withheld.get(row.id)),
      (row) => [row.id],
    )
    await record(tx, engines.clock, {
      operation: 'consultation',
      action: 'bundle.list',
      subject: { type: 'case', id },
      actor: actor(person, 'bundle.read'),
      detail: { found: page.items.map((item) => item.id) },
    })
    return page
  })
}
