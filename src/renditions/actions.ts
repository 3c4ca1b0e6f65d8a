import { open } from 'node:fs/promises'
import { newId, type RecordingId, type RenditionId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { headLength, sniff } from '../custody/examination/container.ts'
import { mismatchOf } from '../custody/mismatch.ts'
import { recordingById } from '../custody/queries.ts'
import { readBack } from '../custody/read-back.ts'
import { copyName, takeIntoCustody } from '../custody/take.ts'
import type { Engines } from '../engines/engines.ts'
import { type Db, inTransaction, type Tx } from '../engines/postgres.ts'
import { type ScratchFolder, ScratchFull } from '../engines/scratch.ts'
import type { RecordingRow, RenditionKind, RenditionRow } from '../engines/tables.ts'
import type { Outcome } from '../jobs/catalogue.ts'
import { owe, oweOnce } from '../jobs/outbox.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { clearAway } from './leftovers.ts'
import { type Job, makeRendition, type Subject } from './make.ts'
import { asMeasured, packetsOf, withSoundApart } from './packets.ts'
import { isQuick, kindsOf, type Plan, planFor, roomFor } from './plan.ts'
import {
  endTurn,
  insertOwed,
  leftoversOf,
  lockTurn,
  markGivenUp,
  oweAgain,
  oweGivenUp,
  renditionsOf,
  takeTurn,
} from './queries.ts'

/**
 * Takes a recording into custody, and out of the same copy makes it playable at once where no picture has to be encoded
 * anew. The receipt waits for none of that. May be repeated: what is done is not done again.
 */
export const takeAndShow = async (engines: Engines, id: RecordingId, run: Job): Promise<Outcome> => {
  await using folder = await engines.scratch(id)
  const outcome = await takeIntoCustody(engines, id, run, folder)
  const recording = await recordingById(engines.db, id)
  const plan = recording?.status === 'active' ? planFor(recording) : undefined
  if (recording === undefined || plan === undefined) return outcome
  await oweRenditions(engines, recording, plan)
  const owed = await owedOf(engines.db, id, kindsOf(plan))
  const isOwed = (kind: RenditionKind) => owed.some((row) => row.kind === kind)
  if (isQuick(plan) && isOwed('hls') && (await isOurTurn(engines, id, run))) {
    const subject = await atHand(engines, recording, plan, run, folder)
    if (isQuick(subject.plan)) await makeRendition(engines, subject, 'hls', true, run)
    if (isOwed('poster')) await makeRendition(engines, subject, 'poster', true, run)
  }
  await inTransaction(engines.db, async (tx) => {
    await run.fence(tx)
    await endTurn(tx, id, run.jobId)
    await owe(tx, engines.clock, 'make-renditions', { recordingId: id }, { cause: run.cause })
  })
  return outcome
}

/**
 * Makes what is still owed of a recording's renditions, what an attempt cut off before left half made, and what is asked for
 * meanwhile: of several jobs for one recording one is at work, and the others have nothing to do.
 */
export const makeOwed = async (engines: Engines, id: RecordingId, run: Job): Promise<Outcome> => {
  const recording = await recordingById(engines.db, id)
  if (recording?.status !== 'active') return { outcome: 'skipped', because: 'the recording is not there to be shown' }
  const plan = planFor(recording)
  if (plan === undefined) return { outcome: 'skipped', because: 'there is nothing in it to show' }
  if (!(await isOurTurn(engines, id, run)))
    return { outcome: 'skipped', because: 'another job is making them, and all that was asked for' }
  await oweRenditions(engines, recording, plan)
  const kinds = kindsOf(plan)
  let owed = await owedUntilOver(engines, id, kinds, run)
  if (owed.length === 0) return { outcome: 'done', said: 'every rendition was there' }
  await using folder = await engines.scratch(id)
  const subject = await atHand(engines, recording, plan, run, folder)
  const made: RenditionKind[] = []
  for (; owed.length > 0; owed = await owedUntilOver(engines, id, kinds, run)) {
    for (const row of owed) {
      await makeOne(engines, subject, row, run)
      made.push(row.kind)
    }
  }
  return { outcome: 'done', said: made.join(', ') }
}

const makeOne = async (
  engines: Engines,
  subject: Subject,
  { kind, sha256, facts }: RenditionRow,
  run: Job,
): Promise<void> => {
  // Where its own packets did not come out playable, they are encoded anew.
  const quick = kind === 'hls' && isQuick(subject.plan) && !(sha256 === null && facts.method === 'remux')
  const made = quick && (await makeRendition(engines, subject, kind, true, run))
  if (!made) await makeRendition(engines, subject, kind, false, run)
}

/**
 * Whether this attempt has the turn from now on. What attempts before it left in the store goes, and what was given up is
 * owed once more.
 */
const isOurTurn = async (engines: Engines, id: RecordingId, { fence, jobId, attempt }: Job): Promise<boolean> => {
  const left = await inTransaction(engines.db, async (tx) => {
    await fence(tx)
    if (!(await takeTurn(tx, id, jobId, attempt))) return undefined
    await oweGivenUp(tx, id)
    return await leftoversOf(tx, id)
  })
  if (left === undefined) return false
  await clearAway(engines, id, left)
  return true
}

/** What is still owed. Where that is nothing the turn is over: a job owed from then on finds nobody at work. */
const owedUntilOver = async ({ db }: Engines, id: RecordingId, kinds: RenditionKind[], run: Job) =>
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await lockTurn(tx, id)
    const owed = await owedOf(tx, id, kinds)
    if (owed.length === 0) await endTurn(tx, id, run.jobId)
    return owed
  })

/** All renditions of a recording are to be made anew. Asked for twice, they are made once. */
export const remakeRenditions = async (engines: Engines, actor: Actor, id: RecordingId): Promise<void> =>
  await inTransaction(engines.db, async (tx) => {
    const count = await oweAgain(tx, id, engines.clock.now())
    if (count === 0) throw new Problem('conflict', 'This recording has no renditions: nothing in it can be shown yet.')
    const cause = await record(tx, engines.clock, {
      operation: 'administration',
      action: 'rendition.remake',
      subject: { type: 'recording', id },
      actor,
    })
    await oweOnce(tx, engines.clock, 'make-renditions', { recordingId: id }, { cause })
  })

/** The job that was to make them is given up: none of them is said to be under way any more. */
export const giveUpRenditions = async (
  tx: Tx,
  { clock }: Engines,
  { recordingId }: { recordingId: RecordingId },
): Promise<void> => {
  const why = 'Making it failed again and again, by no fault of the footage. An administrator can have it made again.'
  await markGivenUp(tx, recordingId, clock.now(), {
    anew: `It could not be made anew, and stays as it was. ${why}`,
    first: `${why} The original is kept and can be downloaded.`,
  })
}

const oweRenditions = async ({ clock, db }: Engines, recording: RecordingRow, plan: Plan): Promise<void> => {
  const { id, sha256 } = recording
  if (sha256 === null) throw new Error('only what is in custody is shown')
  await inTransaction(db, async (tx) => {
    for (const kind of kindsOf(plan)) {
      const rendition = { id: newId<RenditionId>(), recording: id, kind, state: 'owed', sourceSha256: sha256 } as const
      await insertOwed(tx, { ...rendition, owedAt: clock.now() })
    }
  })
}

/**
 * What of these is neither ready nor, as far as encoding anew may still help, given up; in their order. One that failed by no
 * fault of the footage was made by no method.
 */
const owedOf = async (db: Db | Tx, id: RecordingId, kinds: RenditionKind[]): Promise<RenditionRow[]> => {
  const rows = await renditionsOf(db, id)
  const mayHelp = ({ kind, facts: { method } }: RenditionRow) =>
    method === undefined || (kind === 'hls' && method === 'remux')
  const isOwed = (row: RenditionRow) =>
    row.state === 'owed' || row.state === 'working' || (row.state === 'failed' && mayHelp(row))
  return kinds.flatMap((kind) => rows.filter((row) => row.kind === kind && isOwed(row)))
}

/** The copy that the read-back wrote, or a new one, digested as it is read. */
const atHand = async (
  engines: Engines,
  recording: RecordingRow,
  plan: Plan,
  run: Job,
  folder: ScratchFolder,
): Promise<Subject> => {
  const { db, ffmpeg, store } = engines
  const path = folder.path(copyName)
  const { id, objectVersion, sha256, size } = recording
  if (objectVersion === null) throw new Error('only what is in custody is shown')
  const isCopied = await isThere(path)
  if (!(await folder.hasRoomFor(roomFor(recording, isCopied)))) throw new ScratchFull()
  if (!isCopied) {
    const { signal, progress } = run
    const read = await readBack(store, { recording: id, version: objectVersion, size, copyTo: path, signal, progress })
    if (read?.sha256 !== sha256) throw await mismatchOf(engines, recording, run, 'renditions')
  }
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headLength), 0, headLength, 0)
  const container = sniff(buffer.subarray(0, bytesRead))
  if (container === null) throw new Error('what was examined is no container any more')
  const source = { folder: folder.folder, path, demuxer: container.demuxer }
  const packets = await packetsOf(ffmpeg, source, recording, run.signal)
  const measured = asMeasured(plan, packets)
  // Holes in the sound are found only as pieces are made.
  const hasHoles = (await renditionsOf(db, id)).some(({ facts }) => facts.soundApart === true)
  return { recording, plan: hasHoles ? withSoundApart(measured, packets) : measured, source, packets }
}

const isThere = async (path: string): Promise<boolean> => {
  try {
    await using _file = await open(path)
    return true
  } catch {
    return false
  }
}
