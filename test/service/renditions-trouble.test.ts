import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { makeFfmpeg } from '../../src/engines/ffmpeg.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { makeScratch } from '../../src/engines/scratch.ts'
import { makeStore } from '../../src/engines/store.ts'
import type { JobRow } from '../../src/engines/tables.ts'
import { retryJob } from '../../src/jobs/actions.ts'
import { owe } from '../../src/jobs/outbox.ts'
import { runJob } from '../../src/jobs/run.ts'
import { makeOwed, remakeRenditions, takeAndShow } from '../../src/renditions/actions.ts'
import { playlistName } from '../../src/renditions/commands.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { handlers } from '../../workers/handlers.ts'
import { someone } from '../catalogued.ts'
import { recorded } from '../clipped.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { faultyStore, refuses } from '../faulty-store.ts'
import { aDock, problemOf, runOf, sendFile } from '../footsteps.ts'
import { ffmpeg, joined, shownOf } from '../shown.ts'

let engines: TestEngines
let dock: Uploader
let folder: string
beforeAll(async () => {
  engines = await testEngines()
  dock = await aDock(engines)
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-trouble-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

const at = (name: string) => path.join(folder, name)
const run = promisify(execFile)
const mib = 1024 * 1024
const source = ['-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=25:d=26', '-f', 'lavfi', '-i', 'sine=d=26']

/** A disk of its own, of another size whenever that is wanted. Undefined where this machine lets nobody have one. */
const smallDisk = async () => {
  const place = at('disk')
  await mkdir(place, { recursive: true })
  const mount = async (options: string) => await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place])
  try {
    await mount(`size=${600 * mib}`)
  } catch {
    return undefined
  }
  return {
    place,
    leaveOnly: async (bytes: number) => {
      const { bfree, blocks, bsize } = await statfs(place)
      await mount(`remount,size=${(blocks - bfree) * bsize + bytes}`)
    },
    grow: async () => await mount(`remount,size=${600 * mib}`),
    [Symbol.asyncDispose]: async () => void (await run('umount', ['-l', place])),
  }
}

/** The same engines, whose scratch folder is on this disk; `before` pieces are made. */
const working = async (place: string, before: () => Promise<void>): Promise<Engines> => {
  const scratch = await makeScratch(path.join(place, 'scratch'))
  const real = await makeFfmpeg({ log: engines.log, scratch })
  const runLater: Engines['ffmpeg']['run'] = async (work, options) => {
    if (work.outputs.some((output) => output.path?.endsWith(playlistName))) await before()
    return await real.run(work, options)
  }
  return { ...engines, scratch, ffmpeg: { ...real, run: runLater } }
}

test.for([
  ['from the beginning', 0, 'copied'],
  ['in its first piece', 3 * mib, 'copied'],
  ['after its first piece', 5 * mib, 'copied'],
  ['while pictures are encoded anew', mib / 2, 'encoded'],
] as const)(
  'a scratch disk that is full %s never makes a rendition with footage missing, nor blames the footage',
  async ([when, left, how], { skip }) => {
    await using disk = await smallDisk()
    if (disk === undefined) return skip('only root mounts a disk')
    const codec = how === 'copied' ? ['-c:v', 'libx264', '-qp', '4', '-g', '50'] : ['-c:v', 'mjpeg']
    const name = `${when.replaceAll(' ', '-')}.${how === 'copied' ? 'mp4' : 'avi'}`
    await ffmpeg(...source, ...codec, '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', at(name))
    const { recording } = await sendFile(engines, dock, await readFile(at(name)), { name, camera: `CAM-${left}` })
    const full = await working(disk.place, async () => await disk.leaveOnly(left))
    const making = async () => {
      await takeAndShow(full, recording, runOf())
      await makeOwed(full, recording, runOf())
    }
    await expect(making()).rejects.toThrow('no room in the scratch folder')
    const short = (await shownOf(engines, recording)).get('hls')
    expect(short?.row).toMatchObject({ state: 'working', failure: null })

    await disk.grow()
    const roomy = await working(disk.place, async () => undefined)
    await makeOwed(roomy, recording, runOf())
    const hls = (await shownOf(engines, recording)).get('hls')
    expect(hls?.row.state).toBe('ready')
    const whole = await joined(engines, hls, at(`${name}.joined.mp4`))
    const counted = await ffmpeg('-i', whole, '-map', '0:v', '-c', 'copy', '-f', 'framecrc', '-')
    expect(counted.split('\n').filter((line) => /^0,/.test(line))).toHaveLength(26 * 25)
  },
)

test('pieces that outrun the store wait for room, and are not begun where they would not fit beside the copy', async ({
  skip,
}) => {
  await using disk = await smallDisk()
  if (disk === undefined) return skip('only root mounts a disk')
  const noise = ['-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=25:d=4,noise=alls=60:allf=t']
  await ffmpeg(
    ...noise,
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-qp',
    '4',
    '-g',
    '50',
    '-pix_fmt',
    'yuv420p',
    at('s.mp4'),
  )
  const [{ size }, wanted] = [await stat(at('s.mp4')), 110 * mib]
  await ffmpeg('-stream_loop', String(Math.ceil(wanted / size)), '-i', at('s.mp4'), '-c', 'copy', at('fast.mp4'))
  const bytes = await readFile(at('fast.mp4'))
  const { recording } = await sendFile(engines, dock, bytes, { camera: 'CAM-FAST' })
  const reserve = 64 * mib
  const hls = async () => (await shownOf(engines, recording)).get('hls')

  await using slow = await faultyStore(inject('prepared').s3.endpoint)
  const store = makeStore({ ...engines.config, S3_ENDPOINT: slow.endpoint })
  slow.on('put', async ({ pass }) => {
    await delay(3000)
    pass()
  })
  const filling = await working(disk.place, async () => await disk.leaveOnly(reserve + 16 * mib))
  // Once what waited is stored, there is room again, and none of it is the footage's fault.
  await expect(takeAndShow({ ...filling, store }, recording, runOf())).rejects.toThrow('no room in the scratch folder')
  const cut = await hls()
  expect(cut?.row).toMatchObject({ state: 'working', failure: null })
  store.close()

  await disk.grow()
  const narrow = await working(disk.place, async () => undefined)
  await disk.leaveOnly(reserve + Math.floor(1.5 * bytes.length))
  await expect(makeOwed(narrow, recording, runOf())).rejects.toThrow('no room in the scratch folder')
  // Nothing was begun.
  expect((await hls())?.row.id).toBe(cut?.row.id)
})

const jobOf = async (recording: RecordingId, name: 'take-into-custody' | 'make-renditions'): Promise<JobRow> => {
  const jobs = await engines.db.selectFrom('jobs').selectAll().where('name', '=', name).orderBy('id').execute()
  const job = jobs.findLast(({ payload }) => payload.recordingId === recording)
  if (job === undefined) throw new Error('there is no such job')
  return job
}
const work = async (recording: RecordingId, name: 'take-into-custody' | 'make-renditions', on: Engines) => {
  const { id } = await jobOf(recording, name)
  // One that failed waits a little.
  await engines.db
    .updateTable('jobs')
    .set({ dueAt: new Date(0) })
    .where('id', '=', id)
    .execute()
  return await runJob(on, handlers, id, new AbortController().signal)
}

test('a scratch disk without room uses up no attempt, and what is owed is made once there is some', async ({
  skip,
}) => {
  await using disk = await smallDisk()
  if (disk === undefined) return skip('only root mounts a disk')
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', at('usual.mp4'))
  const { recording } = await sendFile(engines, dock, await readFile(at('usual.mp4')), { camera: 'CAM-ROOM' })
  const full = await working(disk.place, async () => undefined)
  const impatient = { ...full, config: { ...engines.config, JOB_ATTEMPTS: 1 } }
  await disk.leaveOnly(mib)
  expect(await work(recording, 'take-into-custody', impatient)).toBe('again')
  expect(await jobOf(recording, 'take-into-custody')).toMatchObject({
    state: 'owed',
    failures: 0,
    said: expect.stringContaining('The receipt is signed; free space'),
  })
  const asha = await someone(engines, ['investigator'])
  const watch = async () => await problemOf(openViewing(engines, asha, recording, 'case 12/3456'))
  expect(await watch()).toMatchObject({ code: 'not-playable-yet', detail: expect.stringContaining('has room') })
  await disk.grow()
  expect(await work(recording, 'take-into-custody', impatient)).toBe('done')
  expect(await watch()).toBeUndefined()
  await disk.leaveOnly(mib)
  expect(await work(recording, 'make-renditions', impatient)).toBe('again')
  expect(await jobOf(recording, 'make-renditions')).toMatchObject({ state: 'owed', failures: 0 })
  await disk.grow()
  expect(await work(recording, 'make-renditions', impatient)).toBe('done')
})

test('a scratch disk that holds an original once is enough, and whoever would watch is told that there is no room yet', async ({
  skip,
}) => {
  await using disk = await smallDisk()
  if (disk === undefined) return skip('only root mounts a disk')
  await ffmpeg(...source, '-t', '4', '-c:v', 'mjpeg', at('once.avi'))
  // Nothing so large has to lie anywhere: what counts is what the catalogue says.
  const size = 4096 * mib
  const recording = await recorded(engines, at('once.avi'), size)
  await inTransaction(engines.db, async (tx) => {
    await owe(tx, engines.clock, 'make-renditions', { recordingId: recording }, { cause: null })
  })
  const asha = await someone(engines, ['investigator'])
  const watch = async () => await problemOf(openViewing(engines, asha, recording, 'case 12/3456'))
  expect(await watch()).toMatchObject({ code: 'not-playable-yet', detail: expect.stringContaining('is being made') })
  const narrow = await working(disk.place, async () => undefined)
  await disk.leaveOnly(size + 256 * mib)
  expect(await work(recording, 'make-renditions', narrow)).toBe('again')
  expect(await watch()).toMatchObject({
    code: 'not-playable-yet',
    detail: expect.stringMatching(/as soon as the server has room .* An administrator can free some\.$/),
    retryAfter: 30,
  })
  await disk.leaveOnly(size + 640 * mib)
  expect(await work(recording, 'make-renditions', narrow)).toBe('done')
  expect(await watch()).toBeUndefined()
})

test('renditions whose job is given up are said to have failed, and are made when the job is tried again', async () => {
  await ffmpeg(...source, '-c:v', 'mjpeg', at('given-up.avi'))
  const { recording } = await sendFile(engines, dock, await readFile(at('given-up.avi')), { camera: 'CAM-UP' })
  const impatient = { ...engines, config: { ...engines.config, JOB_ATTEMPTS: 1 } }
  expect(await work(recording, 'take-into-custody', impatient)).toBe('done')
  const attempted = async () => {
    const path = process.env.PATH
    // ffmpeg is nowhere.
    process.env.PATH = at('nowhere')
    try {
      return await work(recording, 'make-renditions', impatient)
    } finally {
      process.env.PATH = path
    }
  }
  expect(await attempted()).toBe('failed')
  const given = [...(await shownOf(engines, recording)).values()]
  expect(given.map(({ row }) => row.kind).sort()).toEqual(['hls', 'poster', 'storyboard'])
  for (const { row } of given)
    expect(row).toMatchObject({
      state: 'failed',
      failure: expect.stringMatching(
        /^Making it failed again and again.*The original is kept and can be downloaded\.$/,
      ),
    })
  const admin = { kind: 'service', id: 'test' } as const
  await retryJob(engines, admin, (await jobOf(recording, 'make-renditions')).id)
  expect(await work(recording, 'make-renditions', impatient)).toBe('done')
  const states = async () => [...(await shownOf(engines, recording)).values()].map(({ row }) => row.state)
  expect(await states()).toEqual(['ready', 'ready', 'ready'])

  await remakeRenditions(engines, admin, recording)
  expect(await attempted()).toBe('failed')
  expect(await states()).toEqual(['ready', 'ready', 'ready'])
  const hls = (await shownOf(engines, recording)).get('hls')?.row
  expect(hls?.failure).toMatch(/^It could not be made anew, and stays as it was/)

  await retryJob(engines, admin, (await jobOf(recording, 'make-renditions')).id)
  expect(await work(recording, 'make-renditions', impatient)).toBe('done')
  const anew = [...(await shownOf(engines, recording)).values()]
  expect(anew).toHaveLength(3)
  for (const { row } of anew) expect(row).toMatchObject({ state: 'ready', failure: null })
  expect(anew.map(({ row }) => row.id)).not.toContain(hls?.id)
  expect((await jobOf(recording, 'make-renditions')).said).toBe('hls, poster, storyboard')
})

/** Programs that are at work in a folder below this one. */
const atWorkIn = async (place: string): Promise<number> => {
  const pids = (await readdir('/proc')).filter((pid) => /^\d+$/.test(pid))
  const folders = await Promise.all(pids.map(async (pid) => await readlink(`/proc/${pid}/cwd`).catch(() => '')))
  return folders.filter((one) => one.startsWith(place)).length
}

test('what the store refuses is made no further: the job ends at once, and no ffmpeg goes on', async () => {
  await ffmpeg(...source, '-c:v', 'mjpeg', '-q:v', '20', at('short.avi'))
  await ffmpeg('-stream_loop', '29', '-i', at('short.avi'), '-c', 'copy', at('long.avi'))
  const { recording } = await sendFile(engines, dock, await readFile(at('long.avi')), { camera: 'CAM-LONG' })
  await takeAndShow(engines, recording, runOf())
  await using faulty = await faultyStore(inject('prepared').s3.endpoint)
  const store = makeStore({ ...engines.config, S3_ENDPOINT: faulty.endpoint })
  faulty.on('put', refuses(503))
  let made = 0
  const progress = (fraction: number) => {
    made = fraction
  }
  const making = makeOwed({ ...engines, store }, recording, runOf({ progress }))
  await expect(making).rejects.toMatchObject({ code: 'store-unavailable' })
  store.close()
  // Had it gone on to its end, it would be all but 1.
  expect(made).toBeLessThan(0.9)
  expect(await atWorkIn(engines.config.SCRATCH_DIR)).toBe(0)
})
