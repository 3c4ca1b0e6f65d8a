import { once } from 'node:events'
import { appendFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { enrolDock } from '../../src/cli/dock/enrol.ts'
import { type Docking, exhibit, startDocking, started, startLink } from '../docking.ts'
import { eventually, startTestSystem } from '../system.ts'

const mib = 1024 * 1024

let docking: Docking
beforeAll(async () => {
  docking = await startDocking()
})
beforeEach(async () => await docking.next())
afterAll(async () => await docking[Symbol.asyncDispose]())

describe('a bad link', () => {
  it('that breaks costs one chunk: the upload goes on from what was acknowledged, in smaller chunks', async () => {
    await using link = await startLink(docking.system.api.url)
    await docking.enrol(link.url)
    await docking.footage('BWC_1.MP4', 12 * mib)
    link.cutAfter(7 * mib)
    const { states, bytesSent, events } = await docking.upload({ chunkBytes: 4 * mib })
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
    await using link = await startLink(docking.system.api.url)
    await docking.enrol(link.url)
    await docking.footage('BWC_1.MP4', 2 * mib)
    let silent = false
    const { states, events } = await docking.upload({
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
    const link = await startLink(docking.system.api.url)
    await docking.enrol(link.url)
    await link[Symbol.asyncDispose]()
    await docking.footage('BWC_1.MP4', 1000)
    await expect(docking.upload({ patience: 1 })).rejects.toThrow('cannot be reached')
  })
})

describe('an installation', () => {
  it('that suspends the dock is obeyed, with its own words', async () => {
    const { dock } = await docking.enrol()
    await docking.footage('BWC_1.MP4', 1000)
    await docking.system.as('admin', 'POST', `/api/v1/docks/${dock}/suspension`)
    await expect(docking.upload()).rejects.toThrow('suspended')
  })

  it('whose clock differs lends the dock its time, and the dock says so', async () => {
    await using later = await startTestSystem({
      clock: {
        now: () => new Date(Date.now() + 7_200_000),
        instant: () => Temporal.Now.instant().add({ hours: 2 }),
      },
    })
    const token = await later.issuer.tokenFor('admin', {}, { lifetime: 20_000 })
    await enrolDock({ name: 'Desk', site: 'Central', keyFile: docking.keyFile, url: later.api.url, token })
    await docking.footage('BWC_1.MP4', 1000)
    const clock = new Date()
    const { states, events, files } = await docking.upload({
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

describe('the command', () => {
  beforeEach(async () => {
    await docking.enrol()
  })

  it('goes on after kill -9 where the upload stood', async () => {
    await docking.footage('BWC_1.MP4', 8 * mib)
    const args = [
      'dock',
      'upload',
      docking.folder,
      '--key',
      docking.keyFile,
      '--camera',
      docking.camera,
      '--chunk',
      '1',
      '--json',
    ]
    const child = started([...args, '--limit-rate', '2M'])
    const arrived = async () => {
      const { received } = await docking.system.engines.db
        .selectFrom('uploads')
        .select((eb) => eb.fn.sum<number>('received').as('received'))
        .where('camera', '=', docking.camera)
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
    await docking.footage('wrong.mp4', 1000)
    await writeFile(
      path.join(docking.folder, 'exhibit-dock.json'),
      JSON.stringify({ 'wrong.mp4': { sha256: 'ab'.repeat(32) } }),
    )
    const { code, out, err } = await exhibit([
      'dock',
      'upload',
      docking.folder,
      '--key',
      docking.keyFile,
      '--camera',
      docking.camera,
    ])
    expect(code).toBe(1)
    expect(out).toContain('1 in quarantine')
    expect(err).toContain('a supervisor decides')
  })

  it('verifies a kept receipt offline, against the file too', async () => {
    await docking.footage('BWC_1.MP4', 1000)
    const receipts = docking.receiptsFolder
    await docking.upload({ receiptsFolder: receipts })
    const [name = ''] = await readdir(receipts)
    const receipt = path.join(receipts, name)
    const file = path.join(docking.folder, 'BWC_1.MP4')
    expect(await exhibit(['verify', receipt, '--key', docking.keyFile, '--file', file])).toMatchObject({ code: 0 })
    await appendFile(file, 'x')
    const changed = await exhibit(['verify', receipt, '--key', docking.keyFile, '--file', file])
    expect(changed).toMatchObject({ code: 1, out: expect.stringContaining('NOT verified') })
  })

  it('watches a folder until it is told to stop, and then ends with 0', async () => {
    const child = started([
      'dock',
      'watch',
      docking.folder,
      '--key',
      docking.keyFile,
      '--camera',
      docking.camera,
      '--wipe',
      '--every',
      '0.2',
      '--json',
    ])
    await docking.footage('BWC_1.MP4', 1000)
    await eventually('the first file', async () => ((await docking.isThere('BWC_1.MP4')) ? undefined : true))
    await docking.footage('BWC_2.MP4', 1000)
    await eventually('the second file', async () => ((await docking.isThere('BWC_2.MP4')) ? undefined : true))
    child.kill('SIGTERM')
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
  })
})
