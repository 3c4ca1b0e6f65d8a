import type { BundleId, RecordingId, Sha256 } from '../base/ids.ts'
import { caseRow } from '../cases/queries.ts'
import { recordMismatch, tellMismatch } from '../custody/mismatch.ts'
import type { BundleRow } from '../engines/bundle-tables.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { Outcome, Run } from '../jobs/catalogue.ts'
import { owe } from '../jobs/outbox.ts'
import type { Act } from '../ledger/entry.ts'
import { keyDocument } from '../ledger/keys/key-document.ts'
import { record } from '../ledger/record.ts'
import { bundleKey, largestBundle, partSizeOf, whyNotDisclosed } from './bundle.ts'
import { type Contents, type ContentsOfExhibit, contentsOf } from './contents.ts'
import { exhibitStatement } from './continuity.ts'
import { disclosedEntries } from './entries.ts'
import { type PlannedExhibit, planOf } from './plan.ts'
import { provenEntries, type Waiting } from './proven.ts'
import {
  bringForward,
  bundleById,
  chosenCheckpoints,
  exhibitsToDisclose,
  markFailed,
  markReady,
  markWorking,
  noteProgress,
  sensitiveOf,
  setWaiting,
  shareRecordings,
} from './queries.ts'
import { Altered, isAltered } from './source.ts'
import { clearAttempts, startStoring } from './storing.ts'
import { readiness } from './waiting.ts'
import { writeBundle } from './write.ts'

type Job = Pick<Run, 'jobId' | 'attempt' | 'cause' | 'signal' | 'progress' | 'fence'>
type Made = { size: number; sha256: Sha256 }
type Making = { engines: Engines; contents: Contents; run: Job }

const act = ({ contents: { bundle }, run }: Making, action: string): Omit<Act, 'outcome' | 'detail'> => ({
  operation: 'disclosure',
  action,
  subject: { type: 'bundle', id: bundle.id },
  actor: { kind: 'service', id: 'make-bundle', job: run.jobId, ...(run.cause === null ? {} : { cause: run.cause }) },
})

const kept = 'Nothing was published, and what there is of the exhibits is kept.'

/**
 * The bundle's last word where it cannot be: in the transaction that holds the job. Nothing of it stays in the store, nor of
 * what an attempt that was cut off, or still believes to be the one, had begun to put there.
 */
const fail = async (tx: Tx, making: Making, why: string): Promise<void> => {
  const { clock, store } = making.engines
  const { id, person } = making.contents.bundle
  await clearAttempts(store, 'derived', bundleKey(id))
  await store.delete('derived', bundleKey(id))
  await markFailed(tx, id, clock.now(), why)
  await record(tx, clock, { ...act(making, 'bundle.failed'), outcome: 'failed', detail: { why } })
  await bringForward(tx, person)
}

const recordingsIn = ({ exhibits }: Contents): RecordingId[] =>
  [...new Set(exhibits.map(({ exhibit }) => exhibit.recording))].sort()

/**
 * Why the exhibits may not go out any more, in words; undefined when they still may. They stay as they are until the
 * transaction ends: recordings are locked before the case, and that before the exhibits in it.
 */
const whyNotNow = async (tx: Tx, { contents }: Making): Promise<string | undefined> => {
  const { bundle, exhibits } = contents
  const recordings = recordingsIn(contents)
  await shareRecordings(tx, recordings)
  await caseRow(tx, bundle.case, 'update')
  const ids = exhibits.map(({ exhibit }) => exhibit.exhibit)
  const wanted = await exhibitsToDisclose(tx, bundle.case, ids)
  const sensitive = await sensitiveOf(tx, bundle.case, recordings)
  const problem = whyNotDisclosed(wanted, sensitive, bundle.includeOriginals)
  return problem && `${problem.message} ${kept} Ask for a new bundle of what may go out.`
}

/** Fails the bundle where the exhibits may not go out any more. Answers whether it did. */
const failIfGone = async (making: Making): Promise<string | undefined> =>
  await inTransaction(making.engines.db, async (tx) => {
    await making.run.fence(tx)
    const why = await whyNotNow(tx, making)
    if (why !== undefined) await fail(tx, making, why)
    return why
  })

/**
 * The one moment at which a bundle is there, and its exhibits are disclosed: not if one of them was withdrawn, hidden,
 * erased or marked sensitive meanwhile, nor if another attempt took over. Answers why not.
 */
const publish = async (making: Making, made: Made): Promise<string | undefined> =>
  await inTransaction(making.engines.db, async (tx) => {
    const { clock } = making.engines
    const { bundle } = making.contents
    await making.run.fence(tx)
    const why = await whyNotNow(tx, making)
    if (why !== undefined) {
      await fail(tx, making, why)
      return why
    }
    if (!(await markReady(tx, bundle.id, clock.now(), made))) throw new Error('the bundle is no longer being made')
    await bringForward(tx, bundle.person)
    const { recipient } = bundle
    await record(tx, clock, { ...act(making, 'bundle.made'), recipient, detail: { ...made } })
    for (const recording of recordingsIn(making.contents)) {
      const exhibits = making.contents.exhibits.filter(({ exhibit }) => exhibit.recording === recording)
      await record(tx, clock, {
        ...act(making, 'recording.disclosed'),
        subject: { type: 'recording', id: recording },
        recipient,
        detail: {
          bundle: bundle.id,
          exhibits: exhibits.map(({ exhibit }) => exhibit.exhibit),
          original: bundle.includeOriginals || exhibits.some(({ clip }) => clip === null),
        },
      })
    }
    return undefined
  })

/** Whose file an object of the store is. */
const ownerOf = (planned: readonly PlannedExhibit[], { object }: Altered) => {
  for (const { from, files } of planned) {
    const file = files.find(({ objects }) => objects.some(({ key }) => key === object.key))
    if (file !== undefined) return { from, file }
  }
  throw new Error('an object that nobody planned was read')
}

const what = { original: 'original', clip: 'clip', 'viewing-copy': 'viewing copy' } as const

/**
 * The store holds something else than the catalogue says. That is an alarm: an entry about the recording, a metric, a line
 * in the log. The bundle fails, and nothing is repaired by itself.
 */
const alarm = async (making: Making, planned: readonly PlannedExhibit[], error: Altered): Promise<string> => {
  const { clock, db } = making.engines
  const { from, file } = ownerOf(planned, error)
  const { recording } = from.held
  const why =
    `The store does not hold the ${what[file.made]} of ${from.exhibit.reference} as the catalogue says: ` +
    `${error.found === null ? 'it is not there in its full length' : 'its bytes have another SHA-256'}. ${kept} ` +
    'Do not delete or replace anything; tell an administrator at once, and ask for a new bundle without it meanwhile.'
  const { key, sha256, size } = error.object
  const mismatch = { recording: recording.id, file: file.made, key, sha256, size, found: error.found }
  await inTransaction(db, async (tx) => {
    await making.run.fence(tx)
    const { actor } = act(making, 'bundle.failed')
    await recordMismatch(tx, clock, actor, { ...mismatch, bundle: making.contents.bundle.id })
    await fail(tx, making, why)
  })
  tellMismatch(making.engines, mismatch)
  return why
}

const noteEveryMs = 1000

/** Tells the job's progress to the bundle's row as well, now and then. */
const telling = ({ db }: Engines, { id }: BundleRow, run: Job) => {
  let noted = performance.now()
  return (fraction: number): void => {
    run.progress(fraction)
    if (performance.now() - noted < noteEveryMs) return
    noted = performance.now()
    noteProgress(db, id, Math.min(0.99, fraction)).catch(() => undefined)
  }
}

const bytesIn = (planned: readonly PlannedExhibit[]): number =>
  planned.flatMap(({ files }) => files).reduce((sum, { size }) => sum + size, 0)

/** Writes the ZIP into the store, part by part as it comes. */
const write = async ({ engines, contents, run }: Making, planned: readonly PlannedExhibit[]): Promise<Made> => {
  const { config, db, store } = engines
  const { bundle } = contents
  const { signal } = run
  const key = bundleKey(bundle.id)
  const [chosen, holder] = [await chosenCheckpoints(db, bundle.id), config.RECEIPT_ISSUER]
  const entries = await provenEntries(engines, chosen, await disclosedEntries(db, contents))
  // The name and the zone are read once an attempt: where somebody changes them between two, each is still of one piece.
  const ingredients = {
    ...{ contents, planned, entries, holder, checkpoints: chosen, keys: await keyDocument(db) },
    zone: config.RETENTION_TIME_ZONE,
    statement: async (exhibit: ContentsOfExhibit) =>
      await exhibitStatement(db, { contents, chosen, entries, holder }, exhibit),
  }
  await clearAttempts(store, 'derived', key)
  const partSize = partSizeOf(bytesIn(planned))
  const storing = await startStoring({ store, bucket: 'derived', key, mediaType: 'application/zip', partSize, signal })
  try {
    await writeBundle(engines, ingredients, storing.write, { signal, progress: telling(engines, bundle, run) })
    // Whoever was overtaken by another attempt completes nothing: what that one found begun, it aborted.
    await inTransaction(db, async (tx) => await run.fence(tx))
    return await storing.complete()
  } catch (error) {
    await storing.abandon()
    throw error
  }
}

const make = async (making: Making): Promise<Outcome> => {
  const { engines, contents, run } = making
  const planned = planOf(contents)
  if (bytesIn(planned) > largestBundle) throw new Error('the exhibits are more than one bundle holds')
  try {
    const why = await publish(making, await write(making, planned))
    return why === undefined ? { outcome: 'done' } : { outcome: 'done', said: why }
  } catch (error) {
    if (!(error instanceof Altered)) throw error
    // What was hidden, erased or made anew meanwhile is no alarm.
    const gone = await failIfGone(making)
    if (gone !== undefined) return { outcome: 'done', said: gone }
    const again = planOf(await contentsOf(engines.db, contents.bundle))
    const stillMeant = again
      .flatMap(({ files }) => files)
      .some(({ objects }) => objects.some(({ key }) => key === error.object.key))
    if (!stillMeant) throw new Error('a viewing copy was made anew meanwhile')
    if (!(await isAltered(engines, error.object, run.signal))) throw new Error('bytes were damaged on their way here')
    return { outcome: 'done', said: await alarm(making, planned, error) }
  }
}

/**
 * What a bundle waits for keeps no worker: it is owed once more, a moment later. A log that stands still is no reason to
 * fail: whoever asked reads what it waits for, and gets the bundle when that is over.
 */
const postpone = async ({ engines, contents, run }: Making, { waitsFor, againMs }: Waiting): Promise<void> => {
  const { clock, db } = engines
  const { id } = contents.bundle
  const again = { cause: run.cause, dueAt: new Date(clock.now().getTime() + againMs) }
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await setWaiting(tx, id, await owe(tx, clock, 'make-bundle', { bundleId: id }, again), waitsFor)
  })
}

/**
 * Makes a bundle and publishes it, all or nothing; may be repeated, and gives the same bytes of the same catalogue. Where
 * its exhibits do not let it, it is `failed` in words and the job is done.
 */
export const makeBundle = async (engines: Engines, id: BundleId, run: Job): Promise<Outcome> => {
  const { db } = engines
  const bundle = await bundleById(db, id)
  if (bundle === undefined) return { outcome: 'skipped', because: 'there is no such bundle' }
  if (bundle.state === 'ready' || bundle.state === 'failed')
    return { outcome: 'skipped', because: `the bundle is ${bundle.state}` }
  const making = { engines, contents: await contentsOf(db, bundle), run }
  const gone = await failIfGone(making)
  if (gone !== undefined) return { outcome: 'done', said: gone }
  const isChosen = (await chosenCheckpoints(db, id)).length > 0
  const ready = isChosen ? { checkpoints: [] } : await readiness(engines, making.contents)
  if ('waitsFor' in ready) {
    await postpone(making, ready)
    return { outcome: 'done', said: `It waits. ${ready.waitsFor}` }
  }
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await markWorking(tx, id, ready.checkpoints)
  })
  return await make(making)
}
