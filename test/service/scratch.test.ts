import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeScratch } from '../../src/engines/scratch.ts'

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

test('what a dead process left is removed at the next start; a living one’s, and another machine’s, stay', async () => {
  const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')
  const living = spawn('sleep', ['60'])
  await once(living, 'spawn')
  const scratch = await makeScratch(root)
  await using own = await scratch('work')
  const dead = spawn('true')
  await once(dead, 'exit')
  const start = async (pid: number | undefined) =>
    (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[19] ?? ''
  const stays = [
    path.basename(path.dirname(own.folder)),
    `${host}.${living.pid}.${await start(living.pid)}`,
    'elsewhere.1.1',
    'not-ours',
  ]
  // A number may be given to a new process: the same number with another start is dead.
  const goes = [`${host}.${dead.pid}.1`, `${host}.${living.pid}.1`]
  for (const name of [...stays, ...goes]) await mkdir(path.join(root, name, 'work'), { recursive: true })
  await makeScratch(root)
  expect((await readdir(root)).sort()).toEqual(stays.sort())
  living.kill()
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
