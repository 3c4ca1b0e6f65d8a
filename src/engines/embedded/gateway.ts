import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { type EngineStart, keep, openDataFolder, readKept, writePrivate } from './data-folder.ts'
import {
  type Cluster,
  cephPrograms,
  diskForNewStore,
  makeMonitor,
  makeStore,
  makeUser,
  refuseFullDisk,
  registerStore,
} from './gateway-cluster.ts'
import { cephConfiguration } from './gateway-configuration.ts'
import { choosePort, isListening } from './ports.ts'
import { leftover, type Program, type Running, stopProgram, takeOverOrLaunch, untilReady } from './processes.ts'
import { SetupError } from './setup-error.ts'

export type EmbeddedGateway = {
  endpoint: string
  region: string
  accessKey: string
  secretKey: string
  port: number
  pids: { mon: number; osd: number; rgw: number }
  stop(): Promise<void>
}

export type GatewayStart = EngineStart & {
  /**
   * How large the store's file may grow; read at the first start only. By default 40, or less where the disk has less.
   * A full store blocks every write without an error, so delete what a test or bench wrote.
   */
  diskGiB?: number | undefined
}

const Kept = Type.Object({
  fsid: Type.String(),
  osdId: Type.String(),
  monPort: Type.Integer(),
  port: Type.Integer(),
  diskGiB: Type.Integer(),
  accessKey: Type.String(),
  secretKey: Type.String(),
})

/** Looks for a bucket that nobody has: 404 means that the OSD said no. (GET / never asks it, a known name may be cached.) */
const answers = async (endpoint: string): Promise<boolean> => {
  try {
    const signal = AbortSignal.timeout(3000)
    const response = await fetch(`${endpoint}/exhibit-${randomBytes(8).toString('hex')}`, { signal })
    await response.arrayBuffer()
    return response.status === 404
  } catch {
    return false
  }
}

type Programs = { mon: Program; osd: Program; rgw: Program }

/**
 * Ceph is made for tcmalloc, and Debian's does without: glibc gives each large buffer back to the kernel, which then fills
 * new pages with zeros for the next, in half of the gateway's time. So it keeps them, up to these many bytes.
 */
const keepsMemory = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: String(64 * 1024 ** 2),
  MALLOC_TRIM_THRESHOLD_: String(256 * 1024 ** 2),
  MALLOC_TOP_PAD_: String(16 * 1024 ** 2),
}

const programsOf = (
  { programs, folder, conf }: Cluster,
  dataDir: string,
  endWithParent: boolean | undefined,
): Programs => {
  const shared = { dataDir, marker: conf, cwd: folder, env: keepsMemory, stopSignal: 'SIGTERM', endWithParent } as const
  const arguments_ = (...own: string[]) => ['-c', conf, '-f', ...own]
  return {
    mon: { ...shared, name: 'gateway-mon', command: programs.mon, args: arguments_('-i', 'a'), stopSeconds: 5 },
    osd: { ...shared, name: 'gateway-osd', command: programs.osd, args: arguments_('-i', '0'), stopSeconds: 10 },
    rgw: {
      ...shared,
      name: 'gateway-rgw',
      command: programs.rgw,
      args: arguments_('-n', 'client.rgw.a'),
      // It keeps no state. Its background threads take five to ten seconds to notice the stop signal, and without the
      // other two it waits for them.
      stopSeconds: 0.5,
      orphanSignal: 'SIGKILL',
    },
  }
}

/** The gateway first, the monitor last: each still reaches what it needs to stop in order. */
const stopAll = async (programs: Programs): Promise<void> => {
  for (const program of [programs.rgw, programs.osd, programs.mon]) await stopProgram(program)
}

const bringUp = async (cluster: Cluster, programs: Programs, endpoint: string, reuse: boolean) => {
  const storeMade = makeStore(cluster)
  const monitorUp = async () => {
    await makeMonitor(cluster)
    const running = await takeOverOrLaunch(programs.mon, reuse)
    await untilReady(programs.mon, running, { ready: () => isListening(cluster.monPort), seconds: 30 })
    await registerStore(cluster)
    return running
  }
  const [mon] = await Promise.all([monitorUp(), storeMade])
  const [osd, rgw] = await Promise.all([takeOverOrLaunch(programs.osd, reuse), takeOverOrLaunch(programs.rgw, reuse)])
  const ready = async () => {
    for (const part of [mon, osd]) if (part.ended()) throw new SetupError(`The object store ended: ${part.lastWords()}`)
    return await answers(endpoint)
  }
  const adopted = [mon, osd, rgw].some((part: Running) => part.adopted)
  try {
    await untilReady(programs.rgw, rgw, { ready, seconds: adopted ? 15 : 90 })
  } catch (error) {
    if (adopted) return undefined
    throw error
  }
  return { mon, osd, rgw }
}

/**
 * A real S3, Ceph's RADOS Gateway with one monitor and one OSD, on loopback; its data and settings in `<dataDir>/gateway`.
 * What still runs of it is taken over. One user is made, `region` is us-east-1.
 */
export const startGateway = async (options: GatewayStart): Promise<EmbeddedGateway> => {
  const { dataDir, port, log, endWithParent } = options
  const { path } = openDataFolder(dataDir)
  const ceph = cephPrograms()
  const folder = join(path, 'gateway')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  mkdirSync(join(folder, 'rgw'), { recursive: true })
  const conf = join(folder, 'ceph.conf')
  const file = join(folder, 'settings.json')
  const before = readKept(file, Kept)
  refuseFullDisk(path)

  const draft = {
    programs: ceph,
    folder,
    conf,
    fsid: before?.fsid ?? randomUUID(),
    osdId: before?.osdId ?? randomUUID(),
  }
  const probe = programsOf({ ...draft, monPort: 0 }, path, endWithParent)
  const inUse = (program: Program) => leftover(program) !== undefined
  const monPort = await choosePort({
    what: 'the object store',
    wanted: undefined,
    kept: before?.monPort,
    inUse: inUse(probe.mon),
  })
  const kept: Static<typeof Kept> = {
    fsid: draft.fsid,
    osdId: draft.osdId,
    monPort,
    port: await choosePort({ what: 'the S3 endpoint', wanted: port, kept: before?.port, inUse: inUse(probe.rgw) }),
    diskGiB: before?.diskGiB ?? diskForNewStore(path, options.diskGiB),
    accessKey: before?.accessKey ?? randomBytes(10).toString('hex'),
    secretKey: before?.secretKey ?? randomBytes(20).toString('hex'),
  }
  const cluster: Cluster = { ...draft, monPort }
  const programs = programsOf(cluster, path, endWithParent)
  const changed = writePrivate(conf, cephConfiguration({ ...kept, folder }))
  if (changed) await stopAll(programs)
  keep(file, kept)

  if (before === undefined) log(`Object store: making it, in a file that may grow to ${kept.diskGiB} GiB`)
  const endpoint = `http://127.0.0.1:${kept.port}`
  let parts = await bringUp(cluster, programs, endpoint, true)
  if (parts === undefined) {
    log('Object store: what was still running does not answer, so it is started anew')
    await stopAll(programs)
    parts = await bringUp(cluster, programs, endpoint, false)
  }
  if (parts === undefined) throw new SetupError(`The object store does not start, see ${join(path, 'log')}.`)
  await makeUser(cluster, kept.accessKey, kept.secretKey)
  log(parts.rgw.adopted ? 'Object store: was still running' : `Object store: ready on port ${kept.port}`)

  return {
    endpoint,
    region: 'us-east-1',
    accessKey: kept.accessKey,
    secretKey: kept.secretKey,
    port: kept.port,
    pids: { mon: parts.mon.pid, osd: parts.osd.pid, rgw: parts.rgw.pid },
    stop: async () => await stopAll(programs),
  }
}
