import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeScratch } from '../../src/engines/scratch.ts'
import { eventually } from '../system.ts'

let root: string
beforeEach(async () => {
  root = path.join(await mkdtemp(path.join(tmpdir(), 'exhibit-scratch-')), 'scratch')
})
afterEach(async () => await rm(path.dirname(root), { recursive: true, force: true }))

test('each piece of work has a folder of its own, which goes with all in it when the work is over', async () => {
  const scratch = await makeScratch(root)
  let kept: string
  {
    await using one = await scratch('same')
    await using other = await scratch('same')
    expect(one.folder).not.toBe(other.folder)
    kept = one.path('original')
    await writeFile(kept, 'footage')
    expect(await readFile(kept, 'utf8')).toBe('footage')
  }
  expect(existsSync(kept)).toBe(false)
})

test('others may pass through to their own folder and look at no one else’s', async () => {
  const scratch = await makeScratch(root)
  await using folder = await scratch('work')
  const mode = async (name: string) => (await stat(name)).mode & 0o777
  expect(await mode(root)).toBe(0o711)
  expect(await mode(path.dirname(folder.folder))).toBe(0o711)
  expect(await mode(folder.folder)).toBe(process.getuid?.() === 0 ? 0o770 : 0o700)
})

test.for(['../x', 'a/b', '', '.hidden', '/etc/passwd', 'a\0b', '-rf'])(
  '"%s" is the name of no scratch file',
  async (name) => {
    const scratch = await makeScratch(root)
    await using folder = await scratch('work')
    expect(() => folder.path(name)).toThrow(TypeError)
    await expect(scratch(name)).rejects.toThrow(TypeError)
  },
)

test('the free space is known in bytes, and what does not fit is said not to', async () => {
  const scratch = await makeScratch(root)
  await using folder = await scratch('work')
  expect(await scratch.free()).toBeGreaterThan(0)
  expect(await folder.hasRoomFor(1)).toBe(true)
  expect(await folder.hasRoomFor(2 ** 60)).toBe(false)
})

const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')
/** Where a process of ours is looked up: its namespace and its machine's start. */
const whereOf = ({ folder }: { folder: string }) => path.basename(path.dirname(folder)).split('.').slice(3).join('.')

test('what a dead process left is removed at the next start; a living one’s, and another machine’s, stay', async () => {
  const living = spawn('sleep', ['60'])
  await once(living, 'spawn')
  const scratch = await makeScratch(root)
  await using own = await scratch('work')
  const dead = spawn('true')
  await once(dead, 'exit')
  const start = async (pid: number | undefined) =>
    (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[19] ?? ''
  const here = whereOf(own)
  const stays = [
    path.basename(path.dirname(own.folder)),
    `${host}.${living.pid}.${await start(living.pid)}.${here}`,
    'elsewhere.1.1',
    'not-ours',
  ]
  // A number may be given to a new process: the same number with another start is dead.
  const goes = [`${host}.${dead.pid}.1.${here}`, `${host}.${living.pid}.1.${here}`]
  for (const name of [...stays, ...goes]) await mkdir(path.join(root, name, 'work'), { recursive: true })
  await makeScratch(root)
  expect((await readdir(root)).sort()).toEqual(stays.sort())
  living.kill()
})

const minute = 60_000
/** A folder with a file in it, as they were left so long ago. */
const leave = async (name: string, ms: number, writtenSince = false): Promise<void> => {
  const at = new Date(Date.now() - ms)
  const work = path.join(root, name, 'work')
  await mkdir(work, { recursive: true })
  await writeFile(path.join(work, 'original'), 'footage')
  for (const place of [path.join(work, 'original'), work, path.join(root, name)]) await utimes(place, at, at)
  if (writtenSince) await utimes(path.join(work, 'original'), new Date(), new Date())
}

test('what another machine or container left is removed once it has been silent for longer than any work is', async () => {
  await mkdir(root)
  await leave('elsewhere.1.1', 23 * 60 * minute)
  await leave('elsewhere.2.1', 25 * 60 * minute)
  await leave('elsewhere.3.1', 25 * 60 * minute, true)
  await leave('elsewhere.4.1.77', 25 * 60 * minute)
  // Of this hostname, and of another container: its processes cannot be looked up from here.
  await leave(`${host}.${process.pid}.1.77`, 6 * minute)
  await leave(`${host}.1.1.77`, 4 * minute)
  await leave('not-ours', 25 * 60 * minute)
  await makeScratch(root)
  expect((await readdir(root)).sort()).toEqual(['elsewhere.1.1', 'elsewhere.3.1', `${host}.1.1.77`, 'not-ours'].sort())
})

test('what a machine of the same name left, or this one before its last start, is not taken for that of a dead process', async () => {
  const scratch = await makeScratch(root)
  await using own = await scratch('work')
  const [namespace, boot] = whereOf(own).split('.')
  const numbered = `${host}.${process.pid}.1.${namespace}`
  expect(boot).toMatch(/^[0-9a-f]{8}$/)
  await leave(`${numbered}.0badb007`, 4 * minute)
  await leave(`${numbered}.0badb008`, 6 * minute)
  await leave(`${numbered}.0badb009`, 60 * minute, true)
  // As folders were named before: after the namespace alone, and before that after none.
  await leave(numbered, 4 * minute)
  await leave(`${host}.1.1.${namespace}`, 6 * minute)
  await leave(`${host}.${process.pid}.1`, 23 * 60 * minute)
  await leave(`${host}.1.1`, 25 * 60 * minute)
  await makeScratch(root)
  const stays = [`${numbered}.0badb007`, `${numbered}.0badb009`, numbered, `${host}.${process.pid}.1`]
  expect((await readdir(root)).sort()).toEqual([path.basename(path.dirname(own.folder)), ...stays].sort())
})

test('a process that lives on shows that its folder is in use, and removes what was left meanwhile', async () => {
  const scratch = await makeScratch(root, 20)
  await using folder = await scratch('work')
  const own = path.dirname(folder.folder)
  const long = new Date(Date.now() - 60 * minute)
  await utimes(own, long, long)
  await leave('elsewhere.1.1', 25 * 60 * minute)
  await eventually('the touch', async () => ((await stat(own)).mtimeMs > Date.now() - minute ? true : undefined))
  await eventually('the removal', async () => (existsSync(path.join(root, 'elsewhere.1.1')) ? undefined : true))
  expect(existsSync(folder.folder)).toBe(true)
})

test('a folder that was there already keeps its permissions', async () => {
  await mkdir(root)
  await chmod(root, 0o755)
  await makeScratch(root)
  expect((await stat(root)).mode & 0o777).toBe(0o755)
})

test('a file where the folder should be is one clear sentence', async () => {
  await writeFile(root, '')
  await expect(makeScratch(root)).rejects.toThrow()
})
