import { randomBytes } from 'node:crypto'
import { appendFile, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { enrolDock } from '../../src/cli/dock/enrol.ts'
import type { DockEvent, Outcome } from '../../src/cli/dock/outcome.ts'
import { watchFolder } from '../../src/cli/dock/watch-folder.ts'
import { type Docking, exhibit, startDocking } from '../docking.ts'
import { eventually } from '../system.ts'

const mib = 1024 * 1024

let docking: Docking
beforeAll(async () => {
  docking = await startDocking()
})
beforeEach(async () => await docking.next())
afterAll(async () => await docking[Symbol.asyncDispose]())

describe('enrolling a dock', () => {
  it('keeps the key pair on the dock, for its owner only, with the keys whose receipts it may believe', async () => {
    const { dock } = await docking.enrol()
    expect((await stat(docking.keyFile)).mode & 0o777).toBe(0o600)
    const kept = JSON.parse(await readFile(docking.keyFile, 'utf8'))
    expect(kept).toMatchObject({
      dock,
      url: docking.system.api.url,
      privateKey: { crv: 'Ed25519', d: expect.any(String) },
    })
    expect(kept.installationKeys).toMatchObject([{ kid: docking.system.engines.receiptKey.kid }])
  })

  it('answers a dock that is enrolled already as it is, and never overwrites another file', async () => {
    const first = await docking.enrol()
    expect(await docking.enrol(`${docking.system.api.url}/`)).toEqual({ ...first, before: true })
    const other = path.join(docking.folder, 'notes.txt')
    await writeFile(other, 'mine')
    await expect(docking.enrol(undefined, other)).rejects.toThrow('left as it is')
    expect(await readFile(other, 'utf8')).toBe('mine')
  })

  it('goes on with the key pair of an enrolment that was interrupted', async () => {
    await expect(
      enrolDock({
        name: 'Desk',
        site: 'Central',
        keyFile: docking.keyFile,
        url: docking.system.api.url,
        token: 'no token',
      }),
    ).rejects.toThrow()
    const { privateKey } = JSON.parse(await readFile(docking.keyFile, 'utf8'))
    expect((await docking.enrol()).privateKey).toEqual(privateKey)
  })
})

describe('uploading a folder', () => {
  beforeEach(async () => {
    await docking.enrol()
  })

  it('brings every file into custody and has a verified receipt for each, the empty one too', async () => {
    await docking.footage('BWC_1.MP4', 3 * mib + 17)
    await docking.footage('DCIM/100/BWC_2.MP4', 100_000)
    await docking.footage('empty.mp4', 0)
    await docking.footage('.hidden', 10)
    await symlink('/etc/passwd', path.join(docking.folder, 'link.mp4'))
    const receiptsFolder = docking.receiptsFolder
    const { ok, states, files, events } = await docking.upload({ chunkBytes: mib, receiptsFolder })
    expect(states).toEqual({ 'BWC_1.MP4': 'held', 'DCIM/100/BWC_2.MP4': 'held', 'empty.mp4': 'held' })
    expect(ok).toBe(true)
    expect(events).toContainEqual({ type: 'note', text: expect.stringContaining('link.mp4') })
    const { camera } = docking
    for (const { claims, size, sha256 } of files) expect(claims).toMatchObject({ camera, size, sha256 })
    expect(await readdir(receiptsFolder)).toHaveLength(3)
    expect(await docking.isThere('BWC_1.MP4')).toBe(true)
  })

  it('sends nothing a second time, and reads no file again that it knows', async () => {
    await docking.footage('BWC_1.MP4', 200_000)
    await docking.upload()
    const { bytesSent, states, events } = await docking.upload()
    expect({ bytesSent, states }).toEqual({ bytesSent: 0, states: { 'BWC_1.MP4': 'held' } })
    expect(events.filter(({ type }) => type === 'hashing')).toEqual([])
  })

  it('still wipes when its own notes are damaged or lost', async () => {
    await docking.footage('BWC_1.MP4', 200_000)
    await docking.upload()
    await writeFile(path.join(docking.folder, '.exhibit-dock-state.json'), '{"v":1,')
    const { bytesSent, states, events } = await docking.upload({ wipe: true })
    expect({ bytesSent, states }).toEqual({ bytesSent: 0, states: { 'BWC_1.MP4': 'wiped' } })
    expect(events).toContainEqual({ type: 'note', text: expect.stringContaining('made anew') })
  })

  it('sends the same bytes under two names once', async () => {
    await docking.footage('a.mp4', 300_000)
    await writeFile(path.join(docking.folder, 'b.mp4'), await readFile(path.join(docking.folder, 'a.mp4')))
    const { bytesSent, states, files } = await docking.upload()
    expect({ bytesSent, states }).toEqual({ bytesSent: 300_000, states: { 'a.mp4': 'held', 'b.mp4': 'held' } })
    expect(files[0]?.claims?.recordingId).toBe(files[1]?.claims?.recordingId)
  })

  it('tells the installation what the sidecar and both clocks say', async () => {
    await docking.footage('BWC_1.MP4', 1000)
    const known = { recordedAt: '2026-03-04T05:06:07Z', number: 41, sequence: 'event-7', incident: '12/3456' }
    await writeFile(path.join(docking.folder, 'exhibit-dock.json'), JSON.stringify({ 'BWC_1.MP4': known }))
    const dockClock = new Date()
    const { files } = await docking.upload({
      clocks: { camera: new Date(dockClock.getTime() + 90_000), dock: dockClock },
    })
    expect(files).toHaveLength(1)
    const { body } = await docking.system.as(
      'investigator',
      'GET',
      `/api/v1/recordings/${files[0]?.claims?.recordingId}`,
    )
    expect(body).toMatchObject({ ...known, recordedAt: '2026-03-04T05:06:07.000Z', clockOffset: 90 })
  })

  it('does not wait for receipts when it is told not to', async () => {
    await docking.footage('BWC_1.MP4', 1000)
    expect(await docking.upload({ wait: false, wipe: true })).toMatchObject({
      ok: true,
      states: { 'BWC_1.MP4': 'sent' },
    })
    expect(await docking.isThere('BWC_1.MP4')).toBe(true)
  })

  it('keeps to its bandwidth limit over all files', async () => {
    await docking.footage('a.mp4', 400_000)
    await docking.footage('b.mp4', 400_000)
    const { seconds } = await docking.upload({ bytesPerSecond: 400_000, wait: false })
    expect(seconds).toBeGreaterThan(1.7)
  })
})

describe('wiping', () => {
  beforeEach(async () => {
    await docking.enrol()
  })

  it('deletes what is in custody, and nothing else', async () => {
    await docking.footage('BWC_1.MP4', 50_000)
    await docking.footage('wrong.mp4', 50_000)
    await writeFile(
      path.join(docking.folder, 'exhibit-dock.json'),
      JSON.stringify({ 'wrong.mp4': { sha256: 'ab'.repeat(32) } }),
    )
    const { ok, states } = await docking.upload({ wipe: true })
    expect(states).toEqual({ 'BWC_1.MP4': 'wiped', 'wrong.mp4': 'quarantined' })
    expect(ok).toBe(false)
    expect([await docking.isThere('BWC_1.MP4'), await docking.isThere('wrong.mp4')]).toEqual([false, true])
  })

  it('leaves a file that changed after it was read', async () => {
    await docking.footage('BWC_1.MP4', 50_000)
    const { states } = await docking.upload({
      wipe: true,
      onEvent: (event) => {
        if (event.type === 'waiting') appendFile(path.join(docking.folder, 'BWC_1.MP4'), 'more').catch(() => undefined)
      },
    })
    expect(states).toEqual({ 'BWC_1.MP4': 'failed' })
    expect(await docking.isThere('BWC_1.MP4')).toBe(true)
  })

  it('leaves a file whose receipt is signed with a key that nobody on the dock accepted', async () => {
    await docking.footage('BWC_1.MP4', 50_000)
    const enrolment = JSON.parse(await readFile(docking.keyFile, 'utf8'))
    const { kid } = docking.system.engines.receiptKey
    const stranger = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    await writeFile(docking.keyFile, JSON.stringify({ ...enrolment, installationKeys: [stranger] }))
    const doubted = await docking.upload({ wipe: true })
    expect(doubted.files).toMatchObject([{ state: 'unverified', detail: expect.stringContaining(`--accept ${kid}`) }])
    expect(await docking.isThere('BWC_1.MP4')).toBe(true)
    const { code } = await exhibit(['dock', 'keys', '--key', docking.keyFile, '--accept', kid])
    expect(code).toBe(0)
    expect((await docking.upload({ wipe: true })).states).toEqual({ 'BWC_1.MP4': 'wiped' })
  })
})

describe('watching', () => {
  it('leaves a file alone that is still growing, and announces nothing when nothing is new', async () => {
    await docking.enrol()
    const stopping = new AbortController()
    const outcomes: Outcome[] = []
    let announced = 0
    const onEvent = (event: DockEvent) => {
      if (event.type === 'outcome') outcomes.push(event.outcome)
      if (event.type === 'announced') announced++
    }
    const { folder, keyFile, camera } = docking
    const watching = watchFolder({ folder, keyFile, camera, every: 0.2, signal: stopping.signal, onEvent })
    const file = path.join(docking.folder, 'growing.mp4')
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
