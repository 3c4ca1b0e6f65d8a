import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  access,
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { enrolDock } from '../../src/cli/dock/enrol.ts'
import type { DockOptions } from '../../src/cli/dock/open-dock.ts'
import type { DockEvent, Outcome } from '../../src/cli/dock/outcome.ts'
import { uploadFolder } from '../../src/cli/dock/upload-folder.ts'
import { watchFolder } from '../../src/cli/dock/watch-folder.ts'
import type { TestApi } from '../api.ts'
import { eventually, startTestSystem } from '../system.ts'

const mib = 1024 * 1024
const main = path.resolve(import.meta.dirname, '../../src/cli/main.ts')

let system: TestApi
let place: string
let keyFile: string
let folder: string
let camera: string
let count = 0

const enrolAt = async (url: string, file = keyFile) =>
  await enrolDock({ name: 'Desk', site: 'Central', keyFile: file, url, token: await system.issuer.tokenFor('admin') })

beforeAll(async () => {
  system = await startTestSystem()
  place = await mkdtemp(path.join(tmpdir(), 'exhibit-dock-'))
})
beforeEach(async () => {
  count++
  camera = `BWC-${count}`
  folder = path.join(place, String(count), 'card')
  keyFile = path.join(place, String(count), 'dock.json')
  await mkdir(folder, { recursive: true })
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  await rm(place, { recursive: true, force: true })
})

/** A file of random bytes that was last changed an hour ago. */
const footage = async (name: string, size: number): Promise<void> => {
  const file = path.join(folder, name)
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, randomBytes(size))
  const at = new Date(Date.now() - 3_600_000)
  await utimes(file, at, at)
}

const upload = async (more: Partial<DockOptions> = {}) => {
  const events: DockEvent[] = []
  const onEvent = (event: DockEvent) => {
    events.push(event)
    more.onEvent?.(event)
  }
  const summary = await uploadFolder({ folder, keyFile, camera, patience: 20, wait: 30, ...more, onEvent })
  const states = Object.fromEntries(summary.files.map(({ name, state }) => [name, state]))
  return { ...summary, states, events }
}

const isThere = async (name: string): Promise<boolean> =>
  await access(path.join(folder, name)).then(
    () => true,
    () => false,
  )

/** A link between dock and installation that can break: after so many bytes towards the installation, or by falling silent. */
const startLink = async () => {
  const target = new URL(system.api.url)
  const sockets = new Set<{ destroy(): void }>()
  let left = Number.POSITIVE_INFINITY
  let silent = false
  let cuts = 0
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    for (const each of [near, far]) {
      sockets.add(each)
      each.on('error', () => undefined)
      each.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    far.on('data', (bytes) => near.write(bytes))
    near.on('data', (bytes) => {
      if (silent) return
      left -= bytes.length
      if (left < 0) {
        left = Number.POSITIVE_INFINITY
        cuts++
        near.destroy()
      } else if (!far.write(bytes)) {
        near.pause()
        far.once('drain', () => near.resume())
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    url: `http://127.0.0.1:${address.port}`,
    cuts: () => cuts,
    cutAfter: (bytes: number) => {
      left = bytes
    },
    fallSilent: (yes: boolean) => {
      silent = yes
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of sockets) each.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

describe('enrolling a dock', () => {
  it('keeps the key pair on the dock, for its owner only, with the keys whose receipts it may believe', async () => {
    const { dock } = await enrolAt(system.api.url)
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
    const kept = JSON.parse(await readFile(keyFile, 'utf8'))
    expect(kept).toMatchObject({ dock, url: system.api.url, privateKey: { crv: 'Ed25519', d: expect.any(String) } })
    expect(kept.installationKeys).toMatchObject([{ kid: system.engines.receiptKey.kid }])
  })

  it('answers a dock that is enrolled already as it is, and never overwrites another file', async () => {
    const first = await enrolAt(system.api.url)
    expect(await enrolAt(`${system.api.url}/`)).toEqual({ ...first, before: true })
    const other = path.join(folder, 'notes.txt')
    await writeFile(other, 'mine')
    await expect(enrolAt(system.api.url, other)).rejects.toThrow('left as it is')
    expect(await readFile(other, 'utf8')).toBe('mine')
  })

  it('goes on with the key pair of an enrolment that was interrupted', async () => {
    await expect(
      enrolDock({ name: 'Desk', site: 'Central', keyFile, url: system.api.url, token: 'no token' }),
    ).rejects.toThrow()
    const { privateKey } = JSON.parse(await readFile(keyFile, 'utf8'))
    expect((await enrolAt(system.api.url)).privateKey).toEqual(privateKey)
  })
})

describe('uploading a folder', () => {
  beforeEach(async () => {
    await enrolAt(system.api.url)
  })

  it('brings every file into custody and has a verified receipt for each, the empty one too', async () => {
    await footage('BWC_1.MP4', 3 * mib + 17)
    await footage('DCIM/100/BWC_2.MP4', 100_000)
    await footage('empty.mp4', 0)
    await footage('.hidden', 10)
    await symlink('/etc/passwd', path.join(folder, 'link.mp4'))
    const receiptsFolder = path.join(place, String(count), 'receipts')
    const { ok, states, files, events } = await upload({ chunkBytes: mib, receiptsFolder })
    expect(states).toEqual({ 'BWC_1.MP4': 'held', 'DCIM/100/BWC_2.MP4': 'held', 'empty.mp4': 'held' })
    expect(ok).toBe(true)
    expect(events).toContainEqual({ type: 'note', text: expect.stringContaining('link.mp4') })
    for (const { claims, size, sha256 } of files) expect(claims).toMatchObject({ camera, size, sha256 })
    expect(await readdir(receiptsFolder)).toHaveLength(3)
    expect(await isThere('BWC_1.MP4')).toBe(true)
  })

  it('sends nothing a second time, and reads no file again that it knows', async () => {
    await footage('BWC_1.MP4', 200_000)
    await upload()
    const { bytesSent, states, events } = await upload()
    expect({ bytesSent, states }).toEqual({ bytesSent: 0, states: { 'BWC_1.MP4': 'held' } })
    expect(events.filter(({ type }) => type === 'hashing')).toEqual([])
  })

  it('still wipes when its own notes are damaged or lost', async () => {
    await footage('BWC_1.MP4', 200_000)
    await upload()
    await writeFile(path.join(folder, '.exhibit-dock-state.json'), '{"v":1,')
    const { bytesSent, states, events } = await upload({ wipe: true })
    expect({ bytesSent, states }).toEqual({ bytesSent: 0, states: { 'BWC_1.MP4': 'wiped' } })
    expect(events).toContainEqual({ type: 'note', text: expect.stringContaining('made anew') })
  })

  it('sends the same bytes under two names once', async () => {
    await footage('a.mp4', 300_000)
    await writeFile(path.join(folder, 'b.mp4'), await readFile(path.join(folder, 'a.mp4')))
    const { bytesSent, states, files } = await upload()
    expect({ bytesSent, states }).toEqual({ bytesSent: 300_000, states: { 'a.mp4': 'held', 'b.mp4': 'held' } })
    expect(files[0]?.claims?.recordingId).toBe(files[1]?.claims?.recordingId)
  })

  it('tells the installation what the sidecar and both clocks say', async () => {
    await footage('BWC_1.MP4', 1000)
    const known = { recordedAt: '2026-03-04T05:06:07Z', number: 41, sequence: 'event-7', incident: '12/3456' }
    await writeFile(path.join(folder, 'exhibit-dock.json'), JSON.stringify({ 'BWC_1.MP4': known }))
    const dockClock = new Date()
    const { files } = await upload({ clocks: { camera: new Date(dockClock.getTime() + 90_000), dock: dockClock } })
    expect(files).toHaveLength(1)
    const { body } = await system.as('investigator', 'GET', `/api/v1/recordings/${files[0]?.claims?.recordingId}`)
    expect(body).toMatchObject({ ...known, recordedAt: '2026-03-04T05:06:07.000Z', clockOffset: 90 })
  })

  it('does not wait for receipts when it is told not to', async () => {
    await footage('BWC_1.MP4', 1000)
    expect(await upload({ wait: false, wipe: true })).toMatchObject({ ok: true, states: { 'BWC_1.MP4': 'sent' } })
    expect(await isThere('BWC_1.MP4')).toBe(true)
  })

  it('keeps to its bandwidth limit over all files', async () => {
    await footage('a.mp4', 400_000)
    await footage('b.mp4', 400_000)
    const { seconds } = await upload({ bytesPerSecond: 400_000, wait: false })
    expect(seconds).toBeGreaterThan(1.7)
  })
})

describe('wiping', () => {
  beforeEach(async () => {
    await enrolAt(system.api.url)
  })

  it('deletes what is in custody, and nothing else', async () => {
    await footage('BWC_1.MP4', 50_000)
    await footage('wrong.mp4', 50_000)
    await writeFile(
      path.join(folder, 'exhibit-dock.json'),
      JSON.stringify({ 'wrong.mp4': { sha256: 'ab'.repeat(32) } }),
    )
    const { ok, states } = await upload({ wipe: true })
    expect(states).toEqual({ 'BWC_1.MP4': 'wiped', 'wrong.mp4': 'quarantined' })
    expect(ok).toBe(false)
    expect([await isThere('BWC_1.MP4'), await isThere('wrong.mp4')]).toEqual([false, true])
  })

  it('leaves a file that changed after it was read', async () => {
    await footage('BWC_1.MP4', 50_000)
    const { states } = await upload({
      wipe: true,
      onEvent: (event) => {
        if (event.type === 'waiting') appendFile(path.join(folder, 'BWC_1.MP4'), 'more').catch(() => undefined)
      },
    })
    expect(states).toEqual({ 'BWC_1.MP4': 'failed' })
    expect(await isThere('BWC_1.MP4')).toBe(true)
  })

  it('leaves a file whose receipt is signed with a key that nobody on the dock accepted', async () => {
    await footage('BWC_1.MP4', 50_000)
    const enrolment = JSON.parse(await readFile(keyFile, 'utf8'))
    const { kid } = system.engines.receiptKey
    const stranger = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    await writeFile(keyFile, JSON.stringify({ ...enrolment, installationKeys: [stranger] }))
    const doubted = await upload({ wipe: true })
    expect(doubted.files).toMatchObject([{ state: 'unverified', detail: expect.stringContaining(`--accept ${kid}`) }])
    expect(await isThere('BWC_1.MP4')).toBe(true)
    const { code } = await exhibit(['dock', 'keys', '--key', keyFile, '--accept', kid])
    expect(code).toBe(0)
    expect((await upload({ wipe: true })).states).toEqual({ 'BWC_1.MP4': 'wiped' })
  })
})

describe('a bad link', () => {
  it('that breaks costs one chunk: the upload goes on from what was acknowledged, in smaller chunks', async () => {
    await using link = await startLink()
    await enrolAt(link.url)
    await footage('BWC_1.MP4', 12 * mib)
    link.cutAfter(7 * mib)
    const { states, bytesSent, events } = await upload({ chunkBytes: 4 * mib })
    expect({ states, bytesSent, cuts: link.cuts() }).toEqual({
      states: { 'BWC_1.MP4': 'held' },
      bytesSent: 12 * mib,
      cuts: 1,
    })
    const after = events.findIndex(({ type }) => type === 'retrying')
    const next = events.slice(after).find((event) => event.type === 'sending')
    expect(next).toMatchObject({ done: 4 * mib })
  })

  it('that falls silent is noticed', async () => {
    await using link = await startLink()
    await enrolAt(link.url)
    await footage('BWC_1.MP4', 2 * mib)
    let silent = false
    const { states, events } = await upload({
      chunkBytes: mib,
      stall: 1,
      onEvent: (event) => {
        if (event.type === 'sending' && event.done > 0 && !silent) {
          silent = true
          link.fallSilent(true)
        }
        if (event.type === 'retrying') link.fallSilent(false)
      },
    })
    expect(states).toEqual({ 'BWC_1.MP4': 'held' })
    expect(events).toContainEqual(expect.objectContaining({ because: expect.stringContaining('stood still') }))
  })

  it('that never comes back ends in one clear sentence when patience is over', async () => {
    const link = await startLink()
    await enrolAt(link.url)
    await link[Symbol.asyncDispose]()
    await footage('BWC_1.MP4', 1000)
    await expect(upload({ patience: 1 })).rejects.toThrow('cannot be reached')
  })
})

describe('an installation', () => {
  it('that suspends the dock is obeyed, with its own words', async () => {
    const { dock } = await enrolAt(system.api.url)
    await footage('BWC_1.MP4', 1000)
    await system.as('admin', 'POST', `/api/v1/docks/${dock}/suspension`)
    await expect(upload()).rejects.toThrow('suspended')
  })

  it('whose clock differs lends the dock its time, and the dock says so', async () => {
    await using later = await startTestSystem({
      clock: {
        now: () => new Date(Date.now() + 7_200_000),
        instant: () => Temporal.Now.instant().add({ hours: 2 }),
      },
    })
    const token = await later.issuer.tokenFor('admin', {}, { lifetime: 20_000 })
    await enrolDock({ name: 'Desk', site: 'Central', keyFile, url: later.api.url, token })
    await footage('BWC_1.MP4', 1000)
    const clock = new Date()
    const { states, events, files } = await upload({
      clocks: { camera: new Date(clock.getTime() + 7_200_000), dock: clock },
    })
    expect(states).toEqual({ 'BWC_1.MP4': 'held' })
    expect(events).toContainEqual({ type: 'note', text: expect.stringMatching(/7200 s behind/) })
    const investigator = await later.issuer.tokenFor('investigator', {}, { lifetime: 20_000 })
    const { body } = await later.ask('GET', `/api/v1/recordings/${files[0]?.claims?.recordingId}`, {
      token: investigator,
    })
    expect(body).toMatchObject({ clockOffset: expect.closeTo(0, 0) })
  })
})

const started = (args: string[]): ChildProcess =>
  spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, EXHIBIT_DEBUG: '' },
  })

const exhibit = async (args: string[]) => {
  const child = started(args)
  let out = ''
  let err = ''
  child.stdout?.on('data', (text) => {
    out += String(text)
  })
  child.stderr?.on('data', (text) => {
    err += String(text)
  })
  const [code] = await once(child, 'close')
  return { code, out, err }
}

describe('the command', () => {
  beforeEach(async () => {
    await enrolAt(system.api.url)
  })

  it('goes on after kill -9 where the upload stood', async () => {
    await footage('BWC_1.MP4', 8 * mib)
    const args = ['dock', 'upload', folder, '--key', keyFile, '--camera', camera, '--chunk', '1', '--json']
    const child = started([...args, '--limit-rate', '2M'])
    const arrived = async () => {
      const { received } = await system.engines.db
        .selectFrom('uploads')
        .select((eb) => eb.fn.sum<number>('received').as('received'))
        .where('camera', '=', camera)
        .executeTakeFirstOrThrow()
      return Number(received) >= 2 * mib ? Number(received) : undefined
    }
    const before = await eventually('two chunks', arrived)
    child.kill('SIGKILL')
    await once(child, 'close')
    const { code, out } = await exhibit(args)
    const summary = JSON.parse(out)
    expect({ code, files: summary.files }).toMatchObject({ code: 0, files: [{ state: 'held' }] })
    expect(summary.bytesSent).toBeLessThanOrEqual(8 * mib - before)
  })

  it('ends with 1 and says why when a file did not get where it was to go', async () => {
    await footage('wrong.mp4', 1000)
    await writeFile(
      path.join(folder, 'exhibit-dock.json'),
      JSON.stringify({ 'wrong.mp4': { sha256: 'ab'.repeat(32) } }),
    )
    const { code, out, err } = await exhibit(['dock', 'upload', folder, '--key', keyFile, '--camera', camera])
    expect(code).toBe(1)
    expect(out).toContain('1 in quarantine')
    expect(err).toContain('a supervisor decides')
  })

  it('verifies a kept receipt offline, against the file too', async () => {
    await footage('BWC_1.MP4', 1000)
    const receipts = path.join(place, String(count), 'receipts')
    await upload({ receiptsFolder: receipts })
    const [name = ''] = await readdir(receipts)
    const receipt = path.join(receipts, name)
    const file = path.join(folder, 'BWC_1.MP4')
    expect(await exhibit(['verify', receipt, '--key', keyFile, '--file', file])).toMatchObject({ code: 0 })
    await appendFile(file, 'x')
    const changed = await exhibit(['verify', receipt, '--key', keyFile, '--file', file])
    expect(changed).toMatchObject({ code: 1, out: expect.stringContaining('NOT verified') })
  })

  it('watches a folder until it is told to stop, and then ends with 0', async () => {
    const child = started([
      'dock',
      'watch',
      folder,
      '--key',
      keyFile,
      '--camera',
      camera,
      '--wipe',
      '--every',
      '0.2',
      '--json',
    ])
    await footage('BWC_1.MP4', 1000)
    await eventually('the first file', async () => ((await isThere('BWC_1.MP4')) ? undefined : true))
    await footage('BWC_2.MP4', 1000)
    await eventually('the second file', async () => ((await isThere('BWC_2.MP4')) ? undefined : true))
    child.kill('SIGTERM')
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
  })
})

describe('watching', () => {
  it('leaves a file alone that is still growing, and announces nothing when nothing is new', async () => {
    await enrolAt(system.api.url)
    const stopping = new AbortController()
    const outcomes: Outcome[] = []
    let announced = 0
    const onEvent = (event: DockEvent) => {
      if (event.type === 'outcome') outcomes.push(event.outcome)
      if (event.type === 'announced') announced++
    }
    const watching = watchFolder({ folder, keyFile, camera, every: 0.2, signal: stopping.signal, onEvent })
    const file = path.join(folder, 'growing.mp4')
    for (let piece = 0; piece < 8; piece++) {
      await appendFile(file, randomBytes(1000))
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await eventually('the outcome', async () => outcomes[0])
    await new Promise((resolve) => setTimeout(resolve, 600))
    stopping.abort()
    await watching
    expect(outcomes).toMatchObject([{ name: 'growing.mp4', size: 8000, state: 'held' }])
    expect(announced).toBe(1)
  })
})
