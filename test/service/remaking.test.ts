import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { JobId, RecordingId } from '../../src/base/ids.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { makeFfmpeg } from '../../src/engines/ffmpeg.ts'
import { makeStore } from '../../src/engines/store.ts'
import { runJob } from '../../src/jobs/run.ts'
import { remakeRenditions } from '../../src/renditions/actions.ts'
import { clearLeftovers } from '../../src/renditions/leftovers.ts'
import { renditionKey } from '../../src/renditions/rendition.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { handlers } from '../../workers/handlers.ts'
import { askBundle, makeNow, put, zipIn } from '../bundled.ts'
import { aCase } from '../case-files.ts'
import { someone } from '../catalogued.ts'
import { ask } from '../clipped.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { faultyStore, refuses } from '../faulty-store.ts'
import { actionsOn, aDock } from '../footsteps.ts'
import { gate } from '../handlers.ts'
import { ffmpeg, show, shownOf } from '../shown.ts'

let engines: TestEngines
let dock: Uploader
let folder: string
beforeAll(async () => {
  engines = await testEngines()
  dock = await aDock(engines)
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-remaking-'))
  const source = ['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=25:d=14', '-f', 'lavfi', '-i', 'sine=d=14']
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-c:a', 'aac', at('usual.mp4'))
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=25:d=2', '-c:v', 'mjpeg', at('old.avi'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

const at = (name: string) => path.join(folder, name)
const never = new AbortController().signal
const remake = async (id: RecordingId) => await remakeRenditions(engines, { kind: 'service', id: 'test' }, id)

const owedJobs = async (recording: RecordingId): Promise<JobId[]> => {
  const jobs = await engines.db.selectFrom('jobs').selectAll().where('state', '=', 'owed').orderBy('id').execute()
  return jobs
    .filter(({ name, payload }) => name === 'make-renditions' && payload.recordingId === recording)
    .map(({ id }) => id)
}
const work = async (recording: RecordingId, on: Engines = engines) => {
  const [job] = await owedJobs(recording)
  if (job === undefined) throw new Error('nothing is owed')
  // One that failed waits a little.
  await engines.db
    .updateTable('jobs')
    .set({ dueAt: new Date(0) })
    .where('id', '=', job)
    .execute()
  return await runJob(on, handlers, job, never)
}

/** Footage that is shown, and for which nothing is owed. */
const shown = async (): Promise<RecordingId> => {
  const recording = await show(engines, dock, at('usual.mp4'))
  expect(await work(recording)).toBe('done')
  return recording
}
const madeSince = async (recording: RecordingId, earlier: number) =>
  (await actionsOn(engines, recording)).slice(earlier).filter((action) => action === 'rendition.made').length

/** What of a recording's renditions is in the store, and what of it can be watched. */
const keys = async (recording: RecordingId) => {
  const shownKeys = [...(await shownOf(engines, recording)).values()].flatMap(({ row, objects }) =>
    objects.map(({ name }) => renditionKey(recording, row.id, name)),
  )
  return { stored: await engines.store.list('derived', `renditions/${recording}/`), shown: shownKeys.sort() }
}
const idsOf = async (recording: RecordingId) =>
  [...(await shownOf(engines, recording)).values()].map(({ row }) => row.id).sort()

/** The same engines, whose ffmpeg waits at the gate before it makes a file of this name. */
const waitingAt = (name: string) => {
  const { begun, open } = gate()
  const run: Engines['ffmpeg']['run'] = async (ordered, options) => {
    if (ordered.outputs.some((output) => output.path?.endsWith(name))) {
      begun.resolve()
      await open.promise
    }
    return await engines.ffmpeg.run(ordered, options)
  }
  return { begun: begun.promise, open: open.resolve, engines: { ...engines, ffmpeg: { ...engines.ffmpeg, run } } }
}

test('renditions that are asked for twice, at once or while they are being made, are made once', async () => {
  const recording = await shown()
  const before = (await actionsOn(engines, recording)).length
  await Promise.all([remake(recording), remake(recording), remake(recording)])
  expect(await owedJobs(recording)).toHaveLength(1)
  const waiting = waitingAt('index.m3u8')
  const working = work(recording, waiting.engines)
  await waiting.begun
  await remake(recording)
  await remake(recording)
  expect(await owedJobs(recording)).toHaveLength(1)
  expect(await work(recording)).toBe('skipped')
  waiting.open()
  expect(await working).toBe('done')
  const all = [...(await shownOf(engines, recording)).values()]
  expect(all.map(({ row }) => row.state)).toEqual(['ready', 'ready', 'ready'])
  expect(await madeSince(recording, before)).toBe(3)
})

test('what is asked for again once it was made anew is made anew by the job that is at work', async () => {
  const recording = await shown()
  const before = (await actionsOn(engines, recording)).length
  await remake(recording)
  const waiting = waitingAt('sheet-%03d.jpg')
  const working = work(recording, waiting.engines)
  await waiting.begun
  const first = (await shownOf(engines, recording)).get('hls')?.row
  expect(first?.state).toBe('ready')
  await remake(recording)
  expect(await work(recording)).toBe('skipped')
  waiting.open()
  expect(await working).toBe('done')
  const second = (await shownOf(engines, recording)).get('hls')?.row
  expect(second).toMatchObject({ state: 'ready', id: expect.not.stringMatching(first?.id ?? '') })
  expect(await madeSince(recording, before)).toBe(5)
})

test('a job whose attempt was overtaken or cut off keeps nobody from making what is owed', async () => {
  const recording = await shown()
  await remake(recording)
  const [job] = await owedJobs(recording)
  const waiting = waitingAt('index.m3u8')
  const overtaken = work(recording, waiting.engines)
  await waiting.begun
  // As the relay finds it when the heartbeat of its worker has stopped.
  await engines.db
    .updateTable('jobs')
    .set({ beatAt: new Date(0) })
    .where('id', '=', job ?? null)
    .execute()
  expect(await runJob(engines, handlers, job as JobId, never)).toBe('done')
  waiting.open()
  expect(await overtaken).toBe('taken-over')
  const all = [...(await shownOf(engines, recording)).values()]
  expect(all.map(({ row }) => row.state)).toEqual(['ready', 'ready', 'ready'])
  // Whoever was overtaken wakes without deleting what its successor made; what it stored itself is found later.
  await clearLeftovers(engines, never)
  const { stored, shown: watched } = await keys(recording)
  expect(stored.sort()).toEqual(watched)
})

test('what is there is watched until what is made anew takes its place, and goes then', async () => {
  const recording = await shown()
  const before = await idsOf(recording)
  const { shown: watched } = await keys(recording)
  await remake(recording)
  const waiting = waitingAt('sheet-%03d.jpg')
  const stopped = new AbortController()
  const [job] = await owedJobs(recording)
  // It has made everything but the storyboard when its worker is stopped.
  const working = runJob(waiting.engines, handlers, job as JobId, stopped.signal)
  await waiting.begun
  const storyboard = (await shownOf(engines, recording)).get('storyboard')
  expect(before).toContain(storyboard?.row.id)
  expect((await keys(recording)).stored).toEqual(expect.arrayContaining((await keys(recording)).shown))
  expect((await keys(recording)).shown.filter((key) => watched.includes(key))).toEqual([
    expect.stringContaining('sheet'),
  ])
  stopped.abort()
  waiting.open()
  expect(await working).toBe('handed-back')
  expect(await work(recording)).toBe('done')
  const after = await keys(recording)
  expect(after.stored.sort()).toEqual(after.shown)
  expect(after.shown.filter((key) => watched.includes(key))).toEqual([])
})

test('a bundle that is made meanwhile holds the copy that plays, as it is there', async () => {
  const [asha, dora] = [await someone(engines, ['investigator']), await someone(engines, ['disclosure'])]
  const caseId = await aCase(engines, asha, [[dora, 'disclosure']])
  const old = await show(engines, dock, at('old.avi'))
  const exhibit = await put(engines, asha, caseId, 'AB/1', { recordingId: old })
  const holdsCopy = async () => {
    const id = await askBundle(engines, dora, caseId, [exhibit])
    const { state } = await makeNow(engines, id)
    return [state, (await zipIn(engines, id))?.includes('AB_1/viewing-copy.mp4')]
  }
  // It was made long ago, and nobody is to wait for another.
  const owedAt = new Date(engines.clock.now().getTime() - 2 * 86_400_000)
  await engines.db.updateTable('renditions').set({ owedAt }).where('recording', '=', old).execute()
  await remake(old)
  expect(await holdsCopy()).toEqual(['ready', true])
  // Where there is none yet, that it was asked for long ago is no reason to go out without.
  const failed = { state: 'failed', sha256: null, owedAt } as const
  await engines.db.updateTable('renditions').set(failed).where('recording', '=', old).execute()
  await remake(old)
  expect(await holdsCopy()).toEqual(['owed', undefined])
})

test('how long it really plays is known while it is made anew', async () => {
  const recording = await shown()
  await engines.db.updateTable('recordings').set({ duration: 1 }).where('id', '=', recording).execute()
  await remake(recording)
  expect(await ask(engines, await someone(engines, ['investigator']), recording, 10, 12)).toEqual(expect.any(String))
})

test('what is cut off while it is made beside another leaves that one as it was, and nothing in the store', async () => {
  const recording = await shown()
  const before = await idsOf(recording)
  const { shown: watched } = await keys(recording)
  await remake(recording)
  await using faulty = await faultyStore(inject('prepared').s3.endpoint)
  const store = makeStore({ ...engines.config, S3_ENDPOINT: faulty.endpoint })
  let puts = 0
  faulty.on('put', (exchange) => {
    puts += 1
    return puts <= 2 ? exchange.pass() : refuses(503)(exchange)
  })
  expect(await work(recording, { ...engines, store })).toBe('again')
  store.close()
  expect(await idsOf(recording)).toEqual(before)
  const half = await keys(recording)
  expect(half.shown).toEqual(watched)
  expect(half.stored).toEqual(expect.arrayContaining(watched))
  expect(half.stored).toHaveLength(watched.length + 2)
  // Were nobody to try again.
  await clearLeftovers(engines, never)
  expect((await keys(recording)).stored.sort()).toEqual(watched)
  expect(await work(recording)).toBe('done')
  expect((await keys(recording)).stored.sort()).toEqual((await keys(recording)).shown)
})

test('where nothing comes of making it anew, what was there stays and says so', async () => {
  const recording = await shown()
  const before = await idsOf(recording)
  const { shown: watched } = await keys(recording)
  await remake(recording)
  const narrow = await makeFfmpeg({ log: engines.log, scratch: engines.scratch, limits: { outputBytes: 3000 } })
  expect(await work(recording, { ...engines, ffmpeg: narrow })).toBe('done')
  expect(await idsOf(recording)).toEqual(before)
  for (const { row } of (await shownOf(engines, recording)).values())
    expect(row).toMatchObject({ state: 'ready', failure: expect.stringMatching(/^It could not be made anew/) })
  expect((await keys(recording)).stored.sort()).toEqual(watched)
})

test('of a recording that is hidden while it is made playable anew nothing more is stored', async () => {
  const recording = await shown()
  const { shown: watched } = await keys(recording)
  await remake(recording)
  const waiting = waitingAt('index.m3u8')
  const working = work(recording, waiting.engines)
  await waiting.begun
  await engines.db.updateTable('recordings').set({ status: 'grace' }).where('id', '=', recording).execute()
  waiting.open()
  expect(await working).toBe('again')
  expect((await keys(recording)).stored.sort()).toEqual(watched)
})
