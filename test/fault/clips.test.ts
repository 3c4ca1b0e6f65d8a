import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import type { ClipId, RecordingId } from '../../src/base/ids.ts'
import { clipKey, clipPrefix } from '../../src/clips/clip.ts'
import type { Person } from '../../src/people/person.ts'
import { entriesAbout, someone } from '../catalogued.ts'
import { ask, clipFile, numbersIn, recorded, rowOf } from '../clipped.ts'
import { answersLate, type FaultyStore, faultyStore, hangs, readsInPart } from '../faulty-store.ts'
import { type TestInstallation, testInstallation } from '../installation.ts'
import { someOf } from '../long.ts'
import { numberedFrames } from '../numbered-frames.ts'
import { ffmpeg } from '../shown.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let store: FaultyStore
let folder: string
let person: Person
let recording: RecordingId
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-cut-off-'))
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), {
    S3_ENDPOINT: store.endpoint,
    S3_TIMEOUT_SECONDS: '60',
    WORKER_JOBS: '1',
  })
  person = await someone(house.engines, ['investigator'])
  const file = path.join(folder, 'footage.mp4')
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `testsrc2=s=640x360:r=25:d=20,${numberedFrames}`, '-f', 'lavfi', '-i', 'sine=d=20'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '4M', '-g', '25', '-c:a', 'aac', file],
  )
  recording = await recorded(house.engines, file)
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})
afterEach(async () => {
  store.heal()
  await house.killWorkers()
})

const frames = Array.from({ length: 250 }, (_, n) => 105 + n)

/** Waits for the clip, which has to be whole, the only one of its making, and published once. */
const proveWhole = async (id: ClipId): Promise<void> => {
  const clip = await eventually('the clip', async () => {
    const row = await rowOf(house.engines, id)
    return row.state === 'ready' || row.state === 'failed' ? row : undefined
  })
  expect(clip).toMatchObject({ state: 'ready', attempt: 2, frames: 250 })
  expect(await numbersIn(await clipFile(house.engines, clip, path.join(folder, `${id}.mp4`)))).toEqual(frames)
  const objects = await house.engines.store.list('derived', clipPrefix(recording, id))
  expect(objects).toEqual([clipKey(recording, id, 2)])
  const published = (await entriesAbout(house.engines, recording)).filter(({ action }) => action === 'clip.cut')
  expect(published.filter((entry) => Object(Object(entry).detail).clip === id)).toHaveLength(1)
  const job = await house.engines.db.selectFrom('jobs').select('state').where('id', '=', clip.job).executeTakeFirst()
  expect(job?.state).toBe('done')
}

test.for(
  someOf(1, [
    ['while it stores', 'put', hangs],
    ['after it stored', 'put', answersLate(new Promise(() => undefined))],
    ['while it reads', 'read', readsInPart(300_000, new Promise(() => undefined))],
  ] as const),
)('kill -9 of the worker %s leaves a clip that the next attempt makes whole', async ([moment, wanted, fault]) => {
  const id = await ask(house.engines, person, recording, 4.2, 14.2)
  const trap = store.on(wanted, fault, 1)
  const worker = await house.startWorker()
  await trap.met
  const stored = () => house.engines.store.list('derived', clipPrefix(recording, id))
  if (moment === 'after it stored')
    await eventually('the object', async () => ((await stored()).length > 0 ? true : undefined))
  await worker.kill()
  store.heal()
  expect(await rowOf(house.engines, id)).toMatchObject({ state: 'working', sha256: null, attempt: null })
  await house.startWorker()
  await proveWhole(id)
})
