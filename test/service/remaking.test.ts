import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { JobId, RecordingId } from '../../src/base/ids.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { runJob } from '../../src/jobs/run.ts'
import { remakeRenditions } from '../../src/renditions/actions.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { handlers } from '../../workers/handlers.ts'
import { type TestEngines, testEngines } from '../engines.ts'
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
})
