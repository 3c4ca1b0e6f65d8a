import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/base/checkpoint.ts'
import { parseVkey } from '../../src/base/note.ts'
import { publicKeysIn } from '../../src/custody/verify-receipt.ts'
import { runCommand } from '../command-line.ts'
import { type Docking, exhibit, startDocking } from '../docking.ts'
import { keyInForce } from '../rotated.ts'
import { eventually } from '../system.ts'

let docking: Docking
beforeAll(async () => {
  docking = await startDocking()
})
afterAll(async () => await docking[Symbol.asyncDispose]())
beforeEach(async () => await docking.next())

const rotate = async (...args: string[]) => {
  const { environment, ownerUrl } = docking.system.engines
  return await runCommand(['keys', 'rotate', ...args], { ...environment, DATABASE_OWNER_URL: ownerUrl })
}
const get = async (path: string) => await docking.system.ask('GET', `/api/v1/ledger/${path}`)

describe('a new key for receipts', () => {
  it('wipes nothing on a dock before a person there accepts it; what the old one signed stays good', async () => {
    await docking.enrol()
    await docking.footage('BWC_1.MP4', 20_000)
    expect((await docking.upload({ wipe: true })).states).toEqual({ 'BWC_1.MP4': 'wiped' })
    await docking.footage('BWC_2.MP4', 20_000)
    expect((await docking.upload()).states).toEqual({ 'BWC_2.MP4': 'held' })
    const { kid: old } = await keyInForce(docking.system.engines)

    const { code, out, err } = await rotate('--use', 'receipts', '--yes')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const { kid } = await keyInForce(docking.system.engines)
    expect(out).toContain(`${kid} signs receipts from now on; ${old} is retired.`)
    expect(out).toContain('was destroyed')

    await docking.footage('BWC_3.MP4', 20_000)
    const doubted = await docking.upload({ wipe: true })
    expect(doubted.states).toEqual({ 'BWC_2.MP4': 'wiped', 'BWC_3.MP4': 'unverified' })
    expect(doubted.files.find(({ state }) => state === 'unverified')?.detail).toContain(`--accept ${kid}`)
    expect(await docking.isThere('BWC_3.MP4')).toBe(true)
    expect((await exhibit(['dock', 'keys', '--key', docking.keyFile, '--accept', kid])).code).toBe(0)
    expect((await docking.upload({ wipe: true })).states).toEqual({ 'BWC_3.MP4': 'wiped' })

    const keys = publicKeysIn((await get('keys')).body)
    expect(keys.map((key) => [key.kid, key.to !== undefined])).toEqual([
      [old, true],
      [kid, false],
    ])
  })
})

describe('a new key for the log', () => {
  it('is a new log, whose workers go on by themselves; the old one is served as it ended', async () => {
    const before = await eventually('a checkpoint', async () => {
      const { status, text } = await get('checkpoint')
      return status === 200 ? text : undefined
    })
    const { code, out } = await rotate('--use', 'log', '--origin', 'log.example.org/exhibit-2', '--yes', '--json')
    expect(code).toBe(0)
    const rotated = JSON.parse(out)
    expect(rotated).toMatchObject({ use: 'log', number: 2, origin: 'log.example.org/exhibit-2', ended: false })
    const { body } = await get('keys')
    expect(body).toMatchObject({
      log: { origin: rotated.origin, vkey: rotated.vkey },
      logs: [
        { number: 1, to: expect.any(String) },
        { number: 2, vkey: rotated.vkey, rotation: { parts: { detail: { value: { origin: rotated.left.origin } } } } },
      ],
    })
    const newKey = parseVkey(rotated.vkey)
    if (newKey === null) throw new Error('that is no key')
    const checkpoint = async () => (await get('checkpoint')).text
    const first = openCheckpoint(await checkpoint(), newKey)?.size ?? 0
    expect(first).toBeGreaterThan(0)
    await rotate('--use', 'receipts', '--yes')
    await eventually('a larger checkpoint', async () =>
      (openCheckpoint(await checkpoint(), newKey)?.size ?? 0) > first ? true : undefined,
    )
    const last = (await get('logs/1/checkpoint')).text
    expect(last.split('\n')[0]).toBe(before.split('\n')[0])
    expect(Number(last.split('\n')[1])).toBe(rotated.left.size)
    expect((await get(`logs/1/tile/0/000.p/${rotated.left.size}`)).status).toBe(200)
  })
})

describe('the command', () => {
  it.each([
    { args: [], says: /--use/ },
    { args: ['--use', 'both', '--yes'], says: /receipts, log/ },
    { args: ['--use', 'receipts'], says: /^Nothing was changed: nobody is here to ask, so say --yes\.\n$/ },
    { args: ['--use', 'receipts', '--origin', 'a', '--yes'], says: /go with --use log/ },
    { args: ['--use', 'receipts', '--abandon', 'a', '--yes'], says: /go with --use log/ },
    { args: ['--use', 'log', '--origin', 'with space', '--yes'], says: /no spaces and no plus/ },
  ])('changes nothing when it is given $args, and says why', async ({ args, says }) => {
    const { config } = docking.system.engines
    const files = async () => [await readFile(config.RECEIPT_KEY_FILE), await readFile(config.LOG_KEY_FILE)]
    const before = [...(await files()), (await get('keys')).text]
    const { code, err } = await rotate(...args)
    expect(code).not.toBe(0)
    expect(err).toMatch(says)
    expect([...(await files()), (await get('keys')).text]).toEqual(before)
  })
})
