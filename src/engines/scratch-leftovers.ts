import { lstat, readdir, readFile, readlink, rm, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'

/** When a process started, in ticks since boot: with its number it names the process for good. Empty where unknown. */
const startOf = async (pid: number | 'self'): Promise<string> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is the program's name in brackets and may hold spaces; the start is the 22nd.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

const isAlive = async (pid: number, start: string): Promise<boolean> => {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  return start === '' || (await startOf(pid)) === start
}

/** This machine or container, as a part of a folder's name: processes of another one cannot be looked up from here. */
const here = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')

/**
 * Among which processes a number is one process: containers may share a hostname, and each counts from 1; machines may, and
 * their namespaces have the same numbers. Null where either is unknown.
 */
const among = async (): Promise<string | null> => {
  const namespace = (await readlink('/proc/self/ns/pid').catch(() => '')).replaceAll(/\D/g, '')
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).slice(0, 8)
  return namespace === '' || boot === '' ? null : `${namespace}.${boot}`
}

/** The name of this process's own folder. */
export const ownName = async (): Promise<string> =>
  `${here}.${process.pid}.${await startOf('self')}.${(await among()) ?? 'unknown'}`

/** A process touches its folder more often than this by far, whatever it is at. */
const silentMs = 5 * 60_000

/** No run of ffmpeg is waited for longer (`src/clips/making.ts`, `src/renditions/make.ts`), and each begins with a file. */
const longestWorkMs = 86_400_000

/** When anything in a folder was last written, in milliseconds; 0 where it is gone. */
const touchedAt = async (place: string): Promise<number> => {
  const found = await lstat(place).catch(() => undefined)
  if (found === undefined) return 0
  let newest = found.mtimeMs
  if (!found.isDirectory()) return newest
  for (const name of await readdir(place).catch(() => []))
    newest = Math.max(newest, await touchedAt(path.join(place, name)))
  return newest
}

/** For how long nothing may have been written in it before it is taken for dead; null while it is not. */
const patienceWith = async (name: string): Promise<number | null> => {
  const [host, pid, start, ...where] = name.split('.')
  if (!/^[1-9]\d*$/.test(pid ?? '') || start === undefined) return null
  // Whoever named its folder after its number alone did not touch it either.
  if (host !== here || where.length === 0) return longestWorkMs
  if (where.join('.') !== (await among())) return silentMs
  return (await isAlive(Number(pid), start)) ? null : 0
}

/**
 * Removes what processes left in `root` and did not live to remove: of this machine, once they are dead; where they cannot be
 * looked up from here (another machine or container, before the last start), once they have been silent.
 */
export const removeLeftovers = async (root: string): Promise<void> => {
  for (const name of await readdir(root)) {
    const patience = await patienceWith(name)
    if (patience === null) continue
    const place = path.join(root, name)
    if (patience > 0 && Date.now() - (await touchedAt(place)) < patience) continue
    const removing = rm(place, { recursive: true, force: true })
    // Another machine may work as another user, whose files are not ours to remove.
    await (patience > 0 ? removing.catch(() => undefined) : removing)
  }
}

/** From now on, as long as the process lives: its own folder is seen to be in use, and what others left goes. */
export const keepTidy = (root: string, own: string, everyMs: number): void => {
  const tidy = async (): Promise<void> => {
    const now = new Date()
    // It is there only while there is work, or was some.
    await utimes(own, now, now).catch(() => undefined)
    await removeLeftovers(root).catch(() => undefined)
  }
  setInterval(() => void tidy(), everyMs).unref()
}
