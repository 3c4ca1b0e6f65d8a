import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Value } from 'typebox/value'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import { remakeRenditions } from '../../src/renditions/actions.ts'
import { renditionKey, renditionPrefix } from '../../src/renditions/rendition.ts'
import { ViewingOpened } from '../../src/viewings/schemas.ts'
import type { DockDriver } from '../dock-driver.ts'
import { type Fault, type FaultyStore, faultyStore, hangs, readsInPart } from '../faulty-store.ts'
import { actionsOn } from '../footsteps.ts'
import { type TestInstallation, testInstallation } from '../installation.ts'
import type { TestProcess } from '../processes.ts'
import { ffmpeg, joined, shownOf } from '../shown.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let dock: DockDriver
let api: TestProcess
let store: FaultyStore
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-killed-'))
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), { S3_ENDPOINT: store.endpoint, WORKER_JOBS: '1' })
  api = await house.startApi()
  dock = await house.enrol()
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

const seconds = 26
const source = ['-f', 'lavfi', '-i', `testsrc2=s=640x360:r=25:d=${seconds}`, '-f', 'lavfi', '-i', `sine=d=${seconds}`]

/** The store takes so many, and never answers the next. */
const hangsAfter = (count: number, reached: () => void): Fault => {
  let passed = 0
  return (exchange) => {
    passed += 1
    if (passed <= count) return exchange.pass()
    reached()
    return hangs(exchange)
  }
}

const ready = async (recording: RecordingId) =>
  await eventually('every rendition', async () => {
    const shown = await shownOf(house.engines, recording)
    return shown.size > 0 && [...shown.values()].every(({ row }) => row.state === 'ready') ? shown : undefined
  })

test.for([
  { what: 'a remux', name: 'usual.mp4', words: ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-c:a', 'aac'] },
  { what: 'a transcode', name: 'old.avi', words: ['-c:v', 'mjpeg', '-c:a', 'pcm_s16le'] },
])('kill -9 of the worker in the middle of $what leaves one good rendition', async ({ name, words }) => {
  const file = path.join(folder, name)
  await ffmpeg(...source, ...words, file)
  const footage = await dock.create(await readFile(file))
  await dock.finish(footage)
  const met = Promise.withResolvers<void>()
  store.on('put', hangsAfter(4, met.resolve))
  const worker = await house.startWorker()
  await met.promise
  const { recording } = await house.engines.db
    .selectFrom('uploads')
    .select('recording')
    .where('id', '=', footage.id)
    .executeTakeFirstOrThrow()
  // Pieces arrive side by side; those that came through are catalogued a moment later.
  const before = await eventually('the first pieces', async () => {
    const hls = (await shownOf(house.engines, recording)).get('hls')
    return hls !== undefined && hls.objects.length >= 2 ? hls : undefined
  })
  expect(before).toMatchObject({ row: { state: 'working' } })
  expect(before.objects[0]?.name).toBe('init.mp4')
  await worker.kill()
  store.heal()
  await house.startWorker()
  const shown = await ready(recording)
  expect(shown.get('hls')?.row.id).not.toBe(before.row.id)
  const kept: string[] = []
  for (const { row, objects } of shown.values())
    kept.push(...objects.map((object) => `${renditionPrefix(recording, row.id)}${object.name}`))
  expect((await house.engines.store.list('derived', `renditions/${recording}/`)).sort()).toEqual(kept.sort())
  const whole = await joined(house.engines, shown.get('hls'), path.join(folder, `${name}.joined.mp4`))
  const counted = await ffmpeg('-i', whole, '-map', '0:v', '-c', 'copy', '-f', 'framecrc', '-')
  expect(counted.split('\n').filter((line) => /^0,/.test(line))).toHaveLength(seconds * 25)
  await house.proveCustody(dock, footage)
})

const storedOf = async (recording: RecordingId) =>
  (await house.engines.store.list('derived', `renditions/${recording}/`)).sort()
const shownKeys = async (recording: RecordingId) =>
  [...(await shownOf(house.engines, recording)).values()]
    .flatMap(({ row, objects }) => objects.map(({ name }) => renditionKey(recording, row.id, name)))
    .sort()

test('kill -9 of the worker while it makes renditions anew leaves the old ones to watch, then the new ones alone', async () => {
  const file = path.join(folder, 'anew.mp4')
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-c:a', 'aac', file)
  const footage = await dock.create(await readFile(file))
  const first = await house.startWorker()
  await dock.finish(footage)
  const { recordingId } = await house.proveCustody(dock, footage)
  await ready(recordingId)
  const old = await shownKeys(recordingId)
  // The job may end a moment after the last of them is ready.
  await eventually('an idle worker', async () => {
    const jobs = house.engines.db.selectFrom('jobs').select('id').where('state', 'in', ['owed', 'working'])
    return (await jobs.execute()).length === 0 ? true : undefined
  })
  const met = Promise.withResolvers<void>()
  store.on('put', hangsAfter(3, met.resolve))
  await remakeRenditions(house.engines, { kind: 'service', id: 'test' }, recordingId)
  await met.promise
  await first.kill()
  store.heal()
  expect(await shownKeys(recordingId)).toEqual(old)
  expect(await storedOf(recordingId)).toEqual(expect.arrayContaining(old))
  expect((await storedOf(recordingId)).length).toBeGreaterThan(old.length)
  const opened = Value.Parse(ViewingOpened, await house.askFor(`/recordings/${recordingId}/viewings`))
  const playlist = await (await fetch(new URL('hls/index.m3u8', opened.playlistUrl))).text()
  expect(playlist).toContain('#EXT-X-ENDLIST')
  expect((await fetch(new URL('hls/00003.m4s', opened.playlistUrl))).status).toBe(200)
  await house.startWorker()
  await ready(recordingId)
  await eventually('the new ones alone', async () => {
    const [stored, shown] = [await storedOf(recordingId), await shownKeys(recordingId)]
    return stored.join() === shown.join() ? true : undefined
  })
  expect((await shownKeys(recordingId)).filter((key) => old.includes(key))).toEqual([])
})

test('kill -9 of the api while it streams leaves on record what was on its way, and the viewing goes on', async () => {
  const file = path.join(folder, 'watched.mp4')
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-c:a', 'aac', file)
  const footage = await dock.create(await readFile(file))
  await house.startWorker()
  await dock.finish(footage)
  const { recordingId } = await house.proveCustody(dock, footage)
  const opened = Value.Parse(ViewingOpened, await house.askFor(`/recordings/${recordingId}/viewings`))
  const segment = (name: string) => fetch(new URL(`hls/${name}`, opened.playlistUrl))
  expect((await (await segment('00001.m4s')).arrayBuffer()).byteLength).toBeGreaterThan(1000)

  store.on('read', readsInPart(150_000, new Promise(() => undefined)), 1)
  const half = await segment('00003.m4s')
  expect(half.status).toBe(200)
  await api.kill()
  await expect(half.arrayBuffer()).rejects.toThrow()
  const viewing = async () =>
    await house.engines.db.selectFrom('viewings').selectAll().where('id', '=', opened.id).executeTakeFirstOrThrow()
  const seen = [expect.arrayContaining([0]), expect.arrayContaining([12])]
  expect((await viewing()).watched).toEqual(seen)

  api = await house.startApi()
  expect((await (await segment('00003.m4s')).arrayBuffer()).byteLength).toBeGreaterThan(10_000)
  expect((await fetch(new URL('close', opened.playlistUrl), { method: 'POST' })).status).toBe(204)
  expect(await viewing()).toMatchObject({ watched: seen, endedAt: expect.any(Date) })
  const ended = (await actionsOn(house.engines, recordingId)).filter((action) => action === 'recording.viewing-ended')
  expect(ended).toHaveLength(1)
})
