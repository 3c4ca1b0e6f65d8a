import { existsSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeOnce } from './make-once.ts'
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
  /** Absolute; holds `mon`, `osd`, `rgw` and marks of what was done. */
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

/** The monitor's store; the monitor must be down. One that was made for another port is told of the new one. */
export const makeMonitor = async ({ programs, folder, conf, fsid, monPort }: Cluster): Promise<void> => {
  const data = join(folder, 'mon')
  const portFile = 'exhibit-port'
  const monitor = ['-c', conf, '-i', 'a']
  const address = ['--addv', 'a', `[v2:127.0.0.1:${monPort}]`]
  await makeOnce(data, async (aside) => {
    const map = `${aside}-map`
    await run('Making the map of monitors', programs.monmap, ['--create', '--fsid', fsid, ...address, map], {
      cwd: folder,
    })
    const make = ['--mkfs', '--monmap', map, '--mon-data', aside]
    await run('Making the monitor', programs.mon, [...monitor, ...make], { cwd: folder })
    rmSync(map)
    writeFileSync(join(aside, portFile), String(monPort))
  })
  if (readFileSync(join(data, portFile), 'utf8') === String(monPort)) return
  const map = join(folder, 'mon.map')
  await run('Reading the map of monitors', programs.mon, [...monitor, '--extract-monmap', map], { cwd: folder })
  for (const change of [['--rm', 'a'], address]) {
    await run('Changing the map of monitors', programs.monmap, [...change, map], { cwd: folder })
  }
  await run('Writing the map of monitors', programs.mon, [...monitor, '--inject-monmap', map], { cwd: folder })
  rmSync(map)
  writeFileSync(join(data, portFile), String(monPort))
}

/** The OSD's store, a sparse file. Needs no monitor. */
export const makeStore = async ({ programs, folder, conf, osdId }: Cluster): Promise<void> =>
  await makeOnce(join(folder, 'osd'), async (aside) => {
    const make = ['-c', conf, '-i', '0', '--mkfs', '--osd-uuid', osdId, '--no-mon-config', '--osd-data', aside]
    await run('Making the object store', programs.osd, make, { cwd: folder })
  })

/** Does a step that may be repeated, and marks it as done. */
const once = async ({ folder }: Cluster, step: string, work: () => Promise<void>): Promise<void> => {
  const mark = join(folder, `${step}.done`)
  if (existsSync(mark)) return
  await work()
  writeFileSync(mark, '')
}

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
