import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keyDocument } from '../../src/ledger/keys/key-document.ts'
import { registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { asZip, type Files, seal } from '../bundle-builder.ts'
import { askBundle, makeNow, put, run, unpacked } from '../bundled.ts'
import { aCase } from '../case-files.ts'
import { someone } from '../catalogued.ts'
import { cutNow } from '../clipped.ts'
import { runCommand } from '../command-line.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock } from '../footsteps.ts'
import { ffmpeg, show } from '../shown.ts'

let engines: TestEngines
let folder: string
let top: string
let zip: string
let keys: string

beforeAll(async () => {
  engines = await testEngines({ env: { RECEIPT_ISSUER: 'Avon Police' } })
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-made-'))
  await registerReceiptKey(engines)
  keys = path.join(folder, 'keys.json')
  const [investigator, disclosure] = [await someone(engines, ['investigator']), await someone(engines, ['disclosure'])]
  const into = await aCase(engines, investigator, [[disclosure, 'disclosure']])
  const dock = await aDock(engines)
  const [usual, old] = [path.join(folder, 'BWC_0417.mp4'), path.join(folder, 'old.avi')]
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=4', '-f', 'lavfi', '-i', 'sine=d=4']
  await ffmpeg(...picture, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', usual)
  await ffmpeg(...picture, '-c:v', 'mjpeg', '-c:a', 'pcm_s16le', old)
  const recording = await show(engines, dock, usual)
  const clip = await cutNow(engines, investigator, recording, [1, 2.5])
  const exhibits = [
    await put(engines, investigator, into, 'AB/1', { recordingId: recording, description: '</script> "left" & right' }),
    await put(engines, investigator, into, 'AB/2', { recordingId: await show(engines, dock, old) }),
    await put(engines, investigator, into, 'AB/3', { clipId: clip.id }),
  ]
  const id = await askBundle(engines, disclosure, into, exhibits, { includeOriginals: true })
  expect(await makeNow(engines, id)).toMatchObject({ state: 'ready' })
  await writeFile(keys, JSON.stringify(await keyDocument(engines.db)))
  top = await unpacked(engines, id, folder)
  zip = path.join(folder, `${id}.zip`)
}, 120_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

test('a bundle made for real is verified by the command, and one byte changed in it is named', async () => {
  for (const what of [zip, top]) {
    const { code, out } = await runCommand(['verify', what, '--key', keys])
    expect(code).toBe(0)
    expect(out).toMatch(/✓ (\d+) of them proven to be in the log, under a head that it signed/)
    expect(out).toContain('Proofs were checked with the key of the log you gave')
  }
  const media = 'data/exhibits/AB_1/BWC_0417.mp4'
  const bytes = await readFile(zip)
  const at = bytes.indexOf(await readFile(path.join(top, media))) + 1000
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(`${zip}.changed.zip`, bytes)
  const { code, out } = await runCommand(['verify', `${zip}.changed.zip`, '--key', keys, '--json'])
  expect(code).toBe(1)
  expect(JSON.parse(out).findings).toEqual([{ kind: 'altered', path: media, says: expect.any(String) }])
}, 60_000)

test('its footage is what the ledger states, by the lines of docs/verify.md that need nothing of ours', async () => {
  const page = await readFile(new URL('../../docs/verify.md', import.meta.url), 'utf8')
  const script = path.join(folder, 'footage.py')
  await writeFile(script, /```python\n(import glob.*?)```/s.exec(page)?.[1] ?? '')
  const { stdout } = await run('python3', [script], { cwd: top })
  expect(stdout).toBe(['AB/1', 'AB/2', 'AB/3'].map((each) => `${each} is what the ledger states\n`).join(''))
})

test('footage that took the place of a clip in a bundle made for real is named, though its manifests were made again', async () => {
  const files: Files = new Map()
  for (const { parentPath, name } of (await readdir(top, { recursive: true, withFileTypes: true })).filter((each) =>
    each.isFile(),
  )) {
    const file = path.join(parentPath, name)
    files.set(path.relative(top, file), await readFile(file))
  }
  const [clip, provenance] = ['data/exhibits/AB_3/BWC_0417-clip.mp4', 'data/exhibits/AB_3/provenance.json']
  const [was, is] = [files.get(clip) ?? '', Buffer.from('something else')]
  const digest = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')
  const text = files.get(provenance)?.toString() ?? ''
  const said = text.replaceAll(digest(was), digest(is)).replaceAll(`"size": ${was.length}`, `"size": ${is.length}`)
  files.set(clip, is).set(provenance, Buffer.from(said))
  const forged = path.join(folder, 'forged.zip')
  await writeFile(forged, asZip({ top: path.basename(top), files: seal(files) }))
  const { code, out } = await runCommand(['verify', forged, '--key', keys, '--json'])
  expect(code).toBe(1)
  expect(JSON.parse(out).findings).toEqual([
    { kind: 'exhibit', path: clip, says: expect.stringContaining('another one than was cut') },
  ])
}, 60_000)

test('its page plays every exhibit from disk, and finds all of it right', async () => {
  await using browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run'],
  })
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(pathToFileURL(path.join(top, 'data/index.html')).href)
  expect(await page.locator('video').count()).toBe(3)
  for (const index of [0, 1, 2]) {
    const player = `document.querySelectorAll('video')[${index}]`
    await page.evaluate(`${player}.muted = true; ${player}.play()`)
    await expect
      .poll(async () => await page.evaluate(`${player}.currentTime`), { timeout: 20_000 })
      .toBeGreaterThan(0.2)
  }
  await page.locator('#folder').setInputFiles(top)
  const whole = page.locator('#whole')
  await expect.poll(async () => await whole.getAttribute('data-state'), { timeout: 20_000 }).not.toBe('open')
  expect(await page.locator('#findings li').allTextContents()).toEqual([])
  expect(await whole.getAttribute('data-state')).toBe('well')
  expect(await page.locator('#proof-log').getAttribute('data-state')).toBe('well')
  const places = await page.locator('.leaf').allTextContents()
  expect(places.length).toBeGreaterThan(6)
  for (const place of places) expect(place).toMatch(/^leaf \d+ of \d+ in the log, proven$/)
  expect(await page.getByText('</script> "left" & right').first().isVisible()).toBe(true)
  expect(complaints).toEqual([])
}, 60_000)
