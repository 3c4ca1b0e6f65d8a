import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStudio, type Studio } from '../footage.ts'
import { listening } from '../loopback.ts'

const root = path.resolve(import.meta.dirname, '../..')

let studio: Studio
beforeAll(async () => {
  studio = await openStudio()
})
afterAll(async () => await studio[Symbol.asyncDispose]())

const hidden = 'what-nobody-may-read-here'

test('the cage alone keeps ffmpeg from the network and from other files, were a playlist to reach it', async ({
  skip,
}) => {
  if (studio.ffmpeg.tier !== 'bubblewrap') skip('this machine has no bubblewrap')
  await using listener = await listening()
  const secret = await studio.write('secret.ts', await readFile(await studio.make('h264.ts', { video: 'h264' })))
  await using folder = await studio.scratch('playlist')
  const playlist = folder.path('original')
  const segments = `#EXTINF:1,\nfile://${secret}\n#EXTINF:1,\nhttp://127.0.0.1:${listener.port}/a.ts\n`
  await writeFile(playlist, `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${segments}#EXT-X-ENDLIST\n`)
  const signal = AbortSignal.timeout(20_000)
  await expect(studio.ffmpeg.probe(playlist, 'hls', { signal })).rejects.toThrow('ffprobe failed')
  expect(listener.visits()).toBe(0)
})

/** What the kernel tells of every process whose command line mentions `marker`. */
const processes = async (marker: string, file: 'cmdline' | 'environ'): Promise<string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const read = async (pid: string, what: string) => await readFile(`/proc/${pid}/${what}`, 'utf8').catch(() => '')
  const found = await Promise.all(
    pids.map(async (pid) => ((await read(pid, 'cmdline')).includes(marker) ? [await read(pid, file)] : [])),
  )
  return found.flat()
}

test('a run that is called off, or runs out of time, is dead with its children when that is said', async () => {
  await using folder = await studio.scratch('endless')
  const work = {
    folder: folder.folder,
    inputs: [{ graph: 'testsrc2=size=320x240:rate=25' }],
    outputs: [{ path: folder.path('endless.mkv'), options: ['-c:v', 'mpeg4'] }],
  }
  await expect(studio.ffmpeg.run(work, { signal: new AbortController().signal, seconds: 1 })).rejects.toMatchObject({
    blame: 'time',
  })
  expect(await processes(folder.folder, 'cmdline')).toEqual([])

  const controller = new AbortController()
  const reason = new Error('taken over')
  const run = studio.ffmpeg.run(work, {
    signal: controller.signal,
    seconds: 30,
    onProgress: (seconds) => seconds > 1 && controller.abort(reason),
  })
  await expect(run).rejects.toBe(reason)
  expect(await processes(folder.folder, 'cmdline')).toEqual([])
})

test('a limit of more than a timer holds is none of a millisecond', async () => {
  await using folder = await studio.scratch('patient')
  const outputs = [{ path: folder.path('second.mkv'), options: ['-t', '1', '-c:v', 'mpeg4'] }]
  const work = { folder: folder.folder, inputs: [{ graph: 'testsrc2' }], outputs }
  const options = { signal: AbortSignal.timeout(20_000), seconds: 1e8 }
  await studio.ffmpeg.run(work, options)
  expect(await studio.ffmpeg.probe(folder.path('second.mkv'), 'matroska', options)).toMatchObject({ format: {} })
})

test('what ffmpeg says goes into the error’s detail, not into its message', async () => {
  const file = await studio.make('index-first.mp4', { layout: 'index-first' })
  await using folder = await studio.scratch('wrong')
  const original = folder.path('original')
  await writeFile(original, await readFile(file))
  const probing = studio.ffmpeg.probe(original, 'avi', { signal: AbortSignal.timeout(10_000) })
  await expect(probing).rejects.toMatchObject({
    message: 'ffprobe failed',
    blame: 'content',
    detail: expect.stringContaining('Invalid data'),
  })
})

test('ffmpeg is given no secret of our environment', async () => {
  process.env.EXHIBIT_TEST_SECRET = hidden
  const started = Promise.withResolvers<void>()
  const controller = new AbortController()
  await using folder = await studio.scratch('environment')
  const work = {
    folder: folder.folder,
    inputs: [{ graph: 'testsrc2=size=64x64:rate=25', options: ['-re'] }],
    outputs: [{ path: null, options: [] }],
  }
  const run = studio.ffmpeg.run(work, { signal: controller.signal, seconds: 20, onProgress: () => started.resolve() })
  await started.promise
  const environments = (await processes('size=64x64:rate=25', 'environ')).join('\n')
  controller.abort()
  await expect(run).rejects.toThrow()
  delete process.env.EXHIBIT_TEST_SECRET
  expect(environments).toContain('PATH=')
  expect(environments).not.toContain(hidden)
})

/** Calls `work` while PATH leads only to what the second-best cage needs. */
const withoutBubblewrap = async (work: () => Promise<void>): Promise<void> => {
  const bin = path.join(studio.folder, 'bin')
  await mkdir(bin, { recursive: true, mode: 0o755 })
  for (const name of ['ffmpeg', 'ffprobe', 'unshare', 'setpriv', 'prlimit']) {
    const program = ['/usr/bin', '/bin', '/usr/local/bin'].map((at) => path.join(at, name)).find(existsSync)
    const link = path.join(bin, name)
    if (program !== undefined && !existsSync(link)) await symlink(program, link)
  }
  const before = process.env.PATH
  process.env.PATH = bin
  try {
    await work()
  } finally {
    process.env.PATH = before
  }
}

test('without bubblewrap the next best cage is found, and footage is examined in it too', async () => {
  await withoutBubblewrap(async () => {
    await using other = await openStudio()
    expect(other.ffmpeg.tier).toBe(process.getuid?.() === 0 ? 'own-network-and-user' : 'limits')
    expect(other.ffmpeg.sandboxTier).toMatch(/runs as (nobody|this user)/)
    const found = await other.examine(await other.make('plain.mp4'))
    expect(found).toMatchObject({ container: 'mp4', truncated: { is: false }, unplayable: false, notes: [] })
  })
})

/** A process of its own that starts an endless run of ffmpeg and says so. */
const endlessRunner = `
  import { makeFfmpeg } from '${root}/src/engines/ffmpeg.ts'
  import { makeScratch } from '${root}/src/engines/scratch.ts'
  import { pino } from 'pino'
  const scratch = await makeScratch(process.env.SCRATCH)
  const ffmpeg = await makeFfmpeg({ scratch, log: pino({ level: 'silent' }) })
  const folder = await scratch('endless')
  await ffmpeg.run(
    { folder: folder.folder, inputs: [{ graph: 'testsrc2', options: ['-re'] }], outputs: [{ path: null, options: [] }] },
    { signal: new AbortController().signal, seconds: 60, onProgress: () => console.log(folder.folder) },
  )
`

const dieTogether = async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', endlessRunner], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', SCRATCH: path.join(studio.folder, 'scratch') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await once(child.stdout, 'data')
  const folder = path.basename(String(said).trim().split('\n')[0] ?? '')
  const ours = async () => (await folderUsers(folder)).length
  expect(await ours()).toBeGreaterThan(0)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await expect.poll(ours, { timeout: 5000 }).toBe(0)
}

/** Processes whose working folder bears this name, whatever their command lines say. */
const folderUsers = async (name: string): Promise<string[]> => {
  const pids = (await readdir('/proc')).filter((pid) => /^\d+$/.test(pid))
  const folders = await Promise.all(pids.map(async (pid) => await readlink(`/proc/${pid}/cwd`).catch(() => '')))
  return folders.filter((folder) => folder.endsWith(name))
}

test('when the worker is killed with -9, its ffmpeg dies with it', async () => {
  await dieTogether()
  await withoutBubblewrap(dieTogether)
})

test('a run whose process cannot be started blames the machine, and the next run works', async () => {
  const folder = path.join(studio.folder, 'gone')
  const work = { folder, inputs: [{ graph: 'testsrc2' }], outputs: [{ path: null, options: ['-t', '1'] }] }
  const options = { signal: AbortSignal.timeout(20_000), seconds: 20 }
  await expect(studio.ffmpeg.run(work, options)).rejects.toMatchObject({ blame: 'machine' })
  await using there = await studio.scratch('there')
  await studio.ffmpeg.run({ ...work, folder: there.folder }, options)
})

test('a file that is not where it should be blames the machine, not the file', async () => {
  await using folder = await studio.scratch('empty')
  const probing = studio.ffmpeg.probe(folder.path('original'), 'mov', { signal: AbortSignal.timeout(10_000) })
  await expect(probing).rejects.toMatchObject({ blame: 'machine' })
})

test('an answer larger than allowed is cut off', async () => {
  await using small = await openStudio({ answerBytes: 2000 })
  await using folder = await small.scratch('talkative')
  const original = folder.path('original')
  await copyFile(await studio.make('plain.mp4'), original)
  const ask = ['-show_packets']
  const probing = small.ffmpeg.probe(original, 'mov', { signal: AbortSignal.timeout(10_000), ask })
  await expect(probing).rejects.toMatchObject({ blame: 'content', message: 'ffprobe said too much' })
})

test('a written file cannot grow beyond its limit', async () => {
  await using small = await openStudio({ outputBytes: 100_000 })
  await using folder = await small.scratch('large')
  const target = folder.path('large.mkv')
  const outputs = [{ path: target, options: ['-t', '20', '-c:v', 'mjpeg', '-q:v', '1'] }]
  const work = { folder: folder.folder, inputs: [{ graph: 'testsrc2' }], outputs }
  await expect(small.ffmpeg.run(work, { signal: AbortSignal.timeout(20_000), seconds: 20 })).rejects.toThrow('failed')
  expect((await stat(target)).size).toBeLessThanOrEqual(100_000)
})
