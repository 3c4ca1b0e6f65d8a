import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needProgram, run } from './programs.ts'
import { SetupError } from './setup-error.ts'

const packages = 'radosgw ceph-mon ceph-osd'

/** The programs out of the system's packages. */
export const cephPrograms = () => ({
  ceph: needProgram(['ceph'], packages),
  mon: needProgram(['ceph-mon'], packages),
  osd: needProgram(['ceph-osd'], packages),
  rgw: needProgram(['radosgw'], packages),
  admin: needProgram(['radosgw-admin'], packages),
  monmap: needProgram(['monmaptool'], packages),
})

export type Cluster = {
  programs: ReturnType<typeof cephPrograms>
  /** Absolute; holds `mon`, `osd`, `rgw` and a mark for each step that was finished. */
  folder: string
  conf: string
  fsid: string
  osdId: string
  monPort: number
}

const gib = 1024 ** 3
const smallestGiB = 4

/** Whole GiB the disk has, less one that stays free for the rest of the machine. */
const spareGiB = (path: string): number => {
  const { bavail, bsize } = statfsSync(path)
  return Math.floor((bavail * bsize) / gib) - 1
}

/** How large a new store's file may grow, in GiB. Throws a SetupError when the disk has not that much. */
export const diskForNewStore = (path: string, wanted: number | undefined): number => {
  const needed = wanted ?? smallestGiB
  const spare = spareGiB(path)
  if (spare >= needed) return wanted ?? Math.min(40, spare)
  throw new SetupError(
    `The disk of ${path} has ${Math.max(spare, 0)} GiB to spare and the object store needs ${needed}: free some, or name a folder on another disk.`,
  )
}

/** A store whose disk is full hangs instead of failing, so it is not even started there. */
export const refuseFullDisk = (path: string): void => {
  if (spareGiB(path) >= 0) return
  throw new SetupError(
    `The disk of ${path} has less than 1 GiB free, too little for the object store: free some first.`,
  )
}

const once = async (cluster: Cluster, step: string, work: () => Promise<void>): Promise<void> => {
  const mark = join(cluster.folder, `${step}.made`)
  if (existsSync(mark)) return
  await work()
  writeFileSync(mark, '')
}

const emptyFolder = (path: string): void => {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { mode: 0o700 })
}

/**
 * The monitor's store; the monitor must be down. One that was not finished, because its maker was killed, is made anew; one
 * made for another port is told of the new one.
 */
export const makeMonitor = async ({ programs, folder, conf, fsid, monPort }: Cluster): Promise<void> => {
  const mark = join(folder, 'mon.made')
  const madeFor = existsSync(mark) ? readFileSync(mark, 'utf8') : undefined
  if (madeFor === String(monPort)) return
  const map = join(folder, 'monmap')
  const address = ['--addv', 'a', `[v2:127.0.0.1:${monPort}]`]
  const monitor = ['-c', conf, '-i', 'a']
  if (madeFor === undefined) {
    emptyFolder(join(folder, 'mon'))
    rmSync(map, { force: true })
    await run('Making the map of monitors', programs.monmap, ['--create', '--fsid', fsid, ...address, map], {
      cwd: folder,
    })
    await run('Making the monitor', programs.mon, [...monitor, '--mkfs', '--monmap', map], { cwd: folder })
  } else {
    await run('Reading the map of monitors', programs.mon, [...monitor, '--extract-monmap', map], { cwd: folder })
    await run('Changing the map of monitors', programs.monmap, ['--rm', 'a', ...address, map], { cwd: folder })
    await run('Writing the map of monitors', programs.mon, [...monitor, '--inject-monmap', map], { cwd: folder })
  }
  writeFileSync(mark, String(monPort))
}

/** The OSD's store, a sparse file. Needs no monitor. */
export const makeStore = async (cluster: Cluster): Promise<void> =>
  await once(cluster, 'osd', async () => {
    const { programs, folder, conf, osdId } = cluster
    emptyFolder(join(folder, 'osd'))
    const make = ['-c', conf, '-i', '0', '--mkfs', '--osd-uuid', osdId, '--no-mon-config']
    await run('Making the object store', programs.osd, make, { cwd: folder })
  })

/** Makes the OSD known to the running monitor. */
export const registerStore = async (cluster: Cluster): Promise<void> =>
  await once(cluster, 'registered', async () => {
    const { programs, folder, conf, osdId } = cluster
    const register = ['-c', conf, '--connect-timeout', '30', 'osd', 'new', osdId, '0']
    await run('Registering the object store', programs.ceph, register, { cwd: folder })
  })

/** The one user; the gateway must be up. A user that was made by a start that was killed right after is as good. */
export const makeUser = async (cluster: Cluster, accessKey: string, secretKey: string): Promise<void> =>
  await once(cluster, 'user', async () => {
    const { programs, folder, conf } = cluster
    const admin = ['-c', conf, 'user']
    const who = ['--uid', 'exhibit', '--display-name', 'Exhibit', '--max-buckets', '10000']
    const keys = ['--access-key', accessKey, '--secret-key', secretKey]
    try {
      await run('Making the S3 user', programs.admin, [...admin, 'create', ...who, ...keys], { cwd: folder })
    } catch (error) {
      await run('Reading the S3 user', programs.admin, [...admin, 'info', '--uid', 'exhibit'], { cwd: folder }).catch(
        () => {
          throw error
        },
      )
    }
  })
