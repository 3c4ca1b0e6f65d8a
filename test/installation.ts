import { createHash } from 'node:crypto'
import { Value } from 'typebox/value'
import { expect } from 'vitest'
import type { ReceiptClaims } from '../src/custody/receipt.ts'
import { DownloadView } from '../src/downloads/schemas.ts'
import { freePort } from '../src/engines/embedded/ports.ts'
import { originalKey } from '../src/uploads/upload.ts'
import { type DockDriver, enrolDriver, type Footage } from './dock-driver.ts'
import { type Prepared, type TestEngines, testEngines } from './engines.ts'
import { actionsOn } from './footsteps.ts'
import { startProcess, type TestProcess } from './processes.ts'
import { eventually } from './system.ts'
import { startIssuer } from './tokens.ts'

export const mib = 1024 * 1024

/** Small parts and short times, so that every fault has its moment soon. */
const shortTimes = {
  UPLOAD_PART_MIB: '5',
  JOB_LEASE_SECONDS: '5',
  STOP_SECONDS: '4',
  S3_TIMEOUT_SECONDS: '4',
  RATE_DOCK: '100000',
  RATE_PERSON: '100000',
}

type Env = Record<string, string>

/** An installation whose api and workers are processes that may be killed; on engines that may be killed too. */
export type TestInstallation = AsyncDisposable & {
  /** Of the test itself, on the same database and buckets: to look with. */
  engines: TestEngines
  /** What an investigator is answered who asks, with a reason, for a download or a viewing. */
  askFor(path: string): Promise<unknown>
  startApi(env?: Env): Promise<TestProcess>
  startWorker(env?: Env): Promise<TestProcess>
  killWorkers(): Promise<void>
  /** A dock that an administrator enrolled; the api must be up. */
  enrol(): Promise<DockDriver>
  /**
   * Waits for the receipt and holds against it what there is: one recording of this file, verified once, in one version
   * of one object, which can be fetched and is the file to the byte.
   */
  proveCustody(dock: DockDriver, footage: Footage, seconds?: number): Promise<ReceiptClaims>
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

export const testInstallation = async (prepared: Prepared, env: Env = {}): Promise<TestInstallation> => {
  const issuer = await startIssuer()
  const port = String(await freePort())
  const url = `http://127.0.0.1:${port}`
  const addresses = { OIDC_ISSUER: issuer.url, HTTP_PORT: port, PUBLIC_URL: url }
  const engines = await testEngines({ prepared, env: { ...shortTimes, ...addresses, ...env } })
  const running = { api: new Set<TestProcess>(), worker: new Set<TestProcess>() }

  const start = async (name: 'api' | 'worker', over: Env): Promise<TestProcess> => {
    const process = await startProcess(name, { ...engines.environment, ...over })
    running[name].add(process)
    return process
  }

  const kill = async (processes: Set<TestProcess>): Promise<void> => {
    await Promise.all([...processes].map(async (process) => await process.kill()))
    processes.clear()
  }

  const askFor: TestInstallation['askFor'] = async (path) => {
    const authorization = `Bearer ${await issuer.tokenFor('investigator')}`
    const asked = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'to see that it is whole' }),
    })
    return await asked.json()
  }

  const fetched = async (recording: string): Promise<Buffer> => {
    const view = await askFor(`/recordings/${recording}/downloads`)
    if (!Value.Check(DownloadView, view)) throw new Error(`no download was given: ${JSON.stringify(view)}`)
    return Buffer.from(await (await fetch(view.url)).arrayBuffer())
  }

  const proveCustody: TestInstallation['proveCustody'] = async (dock, footage, seconds = 60) => {
    const claims = await dock.receipt(footage, seconds)
    const { db, store } = engines
    const sha256 = digest(footage.bytes)
    expect(claims).toMatchObject({ uploadId: footage.id, camera: footage.camera, size: footage.bytes.length, sha256 })
    const recordings = await db
      .selectFrom('recordings')
      .select(['id', 'sha256', 'size'])
      .where('camera', '=', claims.camera)
      .where('duplicateOf', 'is', null)
      .execute()
    expect(recordings).toEqual([{ id: claims.recordingId, sha256, size: footage.bytes.length }])
    const receipts = await db.selectFrom('receipts').select('upload').where('upload', '=', footage.id).execute()
    expect(receipts).toHaveLength(1)
    const verified = (await actionsOn(engines, claims.recordingId)).filter((action) => action === 'recording.verified')
    expect(verified).toHaveLength(1)
    expect(await store.versions('originals', originalKey(claims.recordingId))).toHaveLength(1)
    expect(digest(await fetched(claims.recordingId))).toBe(sha256)
    await eventually('the end of all jobs', async () => {
      const open = await db.selectFrom('jobs').select('id').where('state', 'in', ['owed', 'working']).execute()
      return open.length === 0 ? true : undefined
    })
    const failed = await db.selectFrom('jobs').select(['name', 'said']).where('state', '=', 'failed').execute()
    expect(failed).toEqual([])
    return claims
  }

  return {
    engines,
    askFor,
    proveCustody,
    startApi: async (over = {}) => await start('api', over),
    startWorker: async (over = {}) => await start('worker', over),
    killWorkers: async () => await kill(running.worker),
    enrol: async () => await enrolDriver(url, issuer),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([kill(running.api), kill(running.worker)])
      await engines[Symbol.asyncDispose]()
      await issuer[Symbol.asyncDispose]()
    },
  }
}
