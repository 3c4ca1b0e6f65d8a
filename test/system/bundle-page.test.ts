import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { source as axe } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pageHtml } from '../../src/bundles/page.ts'
import type { BundleStory } from '../../src/bundles/story.ts'
import { asFolder, type Built, buildBundle } from '../bundle-builder.ts'
import { someOf } from '../long.ts'
import { ffmpeg } from '../shown.ts'

let browser: Browser
let place: string
let footage: { recording: Buffer; clip: Buffer }
beforeAll(async () => {
  const quiet = ['background-networking', 'component-update', 'sync'].map((what) => `--disable-${what}`)
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet],
  })
  place = await mkdtemp(path.join(os.tmpdir(), 'exhibit-page-'))
  const make = async (seconds: number): Promise<Buffer> => {
    const file = path.join(place, `${seconds}.mp4`)
    const picture = ['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=25:duration=${seconds}`]
    await ffmpeg(...picture, '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-movflags', '+faststart', file)
    return await readFile(file)
  }
  footage = { recording: await make(3), clip: await make(1) }
})
afterAll(async () => {
  await browser.close()
  await rm(place, { recursive: true, force: true })
})

const patience = { timeout: 20_000 }

type Screen = AsyncDisposable & { page: Page; folder: string; built: Built; complaints: string[]; elsewhere: string[] }
type Wanted = {
  title?: string
  spoil?: (story: BundleStory) => BundleStory
  before?: string
  screen?: BrowserContextOptions
}

/** A bundle on disk, its page opened from there. */
const open = async ({ title = 'A case', spoil = (story) => story, before, screen }: Wanted = {}): Promise<Screen> => {
  const built = buildBundle({ ...footage, title, page: (story) => pageHtml(spoil(story)) })
  const folder = await asFolder(built, place)
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...screen })
  const page = await context.newPage()
  const [complaints, elsewhere]: [string[], string[]] = [[], []]
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(pathToFileURL(folder).href)) elsewhere.push(request.url())
  })
  if (before !== undefined) await page.addInitScript(before)
  await page.goto(pathToFileURL(path.join(folder, 'data/index.html')).href)
  const close = async (): Promise<void> => {
    await context.close()
    await rm(folder, { recursive: true })
  }
  return { page, folder, built, complaints, elsewhere, [Symbol.asyncDispose]: close }
}

const state = async (page: Page, id: string): Promise<string | null> =>
  await page.locator(`#${id}`).getAttribute('data-state')
const words = async (page: Page, id: string): Promise<string> => (await page.locator(`#${id}`).textContent()) ?? ''
const proofs = ['proof-receipts', 'proof-entries', 'proof-log', 'proof-exhibits']
const proven = async (page: Page): Promise<void> => {
  for (const id of proofs) await expect.poll(async () => await state(page, id), patience).toBe('well')
}

const choose = async (page: Page, folder: string): Promise<void> => {
  await page.locator('#folder').setInputFiles(folder)
  await expect.poll(async () => await state(page, 'proof-files'), patience).not.toBe('open')
}
const findings = async (page: Page): Promise<string[]> => await page.locator('#findings li').allTextContents()

/** What axe finds that is serious or worse. */
const barriers = async (page: Page): Promise<string[]> => {
  await page.evaluate(axe)
  return await page.evaluate<string[]>(`axe.run().then(({ violations }) => violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target).join(', ')))`)
}

describe("a bundle's page, opened from disk", () => {
  it('plays every exhibit, tells of it, and checks receipts and entries by itself', async () => {
    await using screen = await open()
    const { page } = screen
    await proven(page)
    expect(await words(page, 'proof-receipts')).toContain('2 of 2 receipts signed right')
    expect(await words(page, 'proof-exhibits')).toBe(
      '✓2 exhibits, those that were asked for: entries state their digests, and receipts fit.',
    )
    expect(await words(page, 'proof-entries')).toContain('The entries that 2 receipts name are among them.')
    expect(await words(page, 'proof-log')).toBe(
      '✓4 entries are proven to be in the log, under a head over 33 leaves that is signed right, with the key in this bundle.',
    )
    expect(await page.locator('.leaf').allTextContents()).toEqual([
      'leaf 3 of 33 in the log, proven',
      'leaf 10 of 33 in the log, proven',
      'leaf 17 of 33 in the log, proven',
    ])
    expect(await page.getByRole('link', { name: 'The continuity statement' }).count()).toBe(2)
    expect(await words(page, 'whole')).toBe('The files have not been checked yet.')
    const players = page.locator('video')
    expect(await players.count()).toBe(2)
    for (const [index, seconds] of [3, 1].entries()) {
      const player = `document.querySelectorAll('video')[${index}]`
      await page.evaluate(`${player}.muted = true; ${player}.play()`)
      await expect.poll(async () => await page.evaluate(`${player}.currentTime`), patience).toBeGreaterThan(0.2)
      expect(await page.evaluate(`${player}.duration`)).toBeCloseTo(seconds, 1)
    }
    await page.getByRole('heading', { name: 'Schedule of exhibits (MG6C)' }).waitFor()
    expect(await page.getByText('Stored, read back whole, and receipted.').count()).toBe(2)
    expect(screen.elsewhere).toEqual([])
    expect(screen.complaints).toEqual([])
  })

  it('finds everything right once it is shown its folder', async () => {
    await using screen = await open()
    const { page, folder } = screen
    await choose(page, folder)
    expect(await findings(page)).toEqual([])
    expect(await state(page, 'whole')).toBe('well')
    expect(await words(page, 'whole')).toBe(
      'All files and proofs agree with what this page holds: nothing is missing, added or altered.',
    )
    expect(await words(page, 'proof-files')).toMatch(/^✓2\d of 2\d files have their digest/)
    expect(screen.elsewhere).toEqual([])
    expect(screen.complaints).toEqual([])
  })

  it('names each file that is altered, cut, missing or extra', async () => {
    await using screen = await open()
    const { page, folder } = screen
    const [recording, clip] = ['data/exhibits/AB_1/BWC_0001.MP4', 'data/exhibits/AB_2/clip.mp4']
    const bytes = await readFile(path.join(folder, recording))
    bytes[5000] = (bytes[5000] ?? 0) ^ 1
    await writeFile(path.join(folder, recording), bytes)
    await truncate(path.join(folder, clip), 100)
    await rm(path.join(folder, 'data/schedules/MG6C.csv'))
    await rm(path.join(folder, 'README.txt'))
    await writeFile(path.join(folder, 'data/more.txt'), 'x')
    await choose(page, folder)
    expect(await state(page, 'whole')).toBe('wrong')
    const said = await findings(page)
    expect(said).toHaveLength(5)
    for (const one of [
      `Altered ${recording} These are not the bytes`,
      `Cut short ${clip} Only 100 of its`,
      'Missing data/schedules/MG6C.csv',
      'Missing README.txt',
      'Extra data/more.txt No manifest names it',
    ]) {
      expect(said.filter((line) => line.startsWith(one))).toHaveLength(1)
    }
    expect(await barriers(page)).toEqual([])
  })

  it('finds another manifest, other keys and another receipt beside it than it holds', async () => {
    await using screen = await open()
    const { page, folder, built } = screen
    const manifest = path.join(folder, 'manifest-sha256.txt')
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace(/^[0-9a-f]{8}/, '00000000'))
    await writeFile(path.join(folder, 'proofs/keys.json'), '{"keys":[]}')
    await writeFile(path.join(folder, 'proofs/checkpoint'), built.log.checkpoint.replace(/— witness.*\n/, ''))
    await writeFile(path.join(folder, 'proofs/entries/1.tlog-proof'), built.story.entries[1]?.proof.text ?? '')
    await writeFile(path.join(folder, built.story.receipts[0]?.path ?? ''), built.story.receipts[1]?.jws ?? '')
    await choose(page, folder)
    const said = (await findings(page)).join('\n')
    expect(said).toContain('Manifest manifest-sha256.txt It states another SHA-256')
    for (const name of ['keys.json', 'checkpoint', 'entries/1.tlog-proof'])
      expect(said).toContain(`Altered proofs/${name} It is not what this page holds`)
    expect(said).toContain(`Altered ${built.story.receipts[0]?.path} It is not what this page holds`)
  })

  it('takes the folder also where it is dropped, and says when it is another one', async () => {
    await using screen = await open()
    const { page, folder } = screen
    const session = await page.context().newCDPSession(page)
    await page.locator('#zone').scrollIntoViewIfNeeded()
    const zone = await page.locator('#zone').boundingBox()
    const at = { x: (zone?.x ?? 0) + 20, y: (zone?.y ?? 0) + 20 }
    const drop = async (what: string): Promise<void> => {
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        await session.send('Input.dispatchDragEvent', {
          type,
          ...at,
          data: { items: [], files: [what], dragOperationsMask: 1 },
        })
      }
    }
    await drop(path.join(folder, 'proofs'))
    await expect.poll(async () => await words(page, 'proof-files'), patience).toContain('not the folder of this bundle')
    await drop(folder)
    await expect.poll(async () => await state(page, 'whole'), patience).toBe('well')
  })

  it('finds a receipt, an entry and an exhibit that were altered in the page itself', async () => {
    await using screen = await open({
      spoil: (story) => {
        const spoilt = structuredClone(story)
        const [receipt, other] = spoilt.receipts
        if (receipt !== undefined && other !== undefined) receipt.jws = `${other.jws.slice(0, -8)}AAAAAAAA`
        const part = spoilt.entries[0]?.parts.actor
        if (part !== undefined) part.value = { kind: 'person', id: 'somebody else' }
        const proof = spoilt.entries[1]?.proof
        if (proof !== undefined) proof.text = proof.text.replace('index 10', 'index 11')
        const exhibit = spoilt.exhibits[1]
        if (exhibit !== undefined) exhibit.provenance.source.size += 1
        return spoilt
      },
    })
    const { page } = screen
    for (const id of proofs) await expect.poll(async () => await state(page, id), patience).toBe('wrong')
    const said = (await findings(page)).join('\n')
    expect(said).toContain('Its signature is wrong')
    expect(said).toContain('“actor” is not what was sealed')
    expect(said).toContain('Exhibit AB/2 Its receipt is of another recording')
    expect(said).toContain('Proof proofs/entries/2.tlog-proof It does not lead from the entry beside it')
    expect(await words(page, 'proof-log')).toContain('1 proof or head of it does not hold')
    expect(await page.locator('.leaf[data-state="wrong"]').allTextContents()).toEqual(['NOT proven to be in the log'])
  })

  it('says of which exhibits there is no receipt, and finds another original in their place', async () => {
    const without = (story: BundleStory): BundleStory => {
      const spoilt = structuredClone(story)
      const [exhibit] = spoilt.exhibits
      spoilt.receipts.shift()
      if (exhibit !== undefined) exhibit.receipt = null
      return spoilt
    }
    await using legal = await open({ spoil: without })
    await proven(legal.page)
    expect(await words(legal.page, 'proof-receipts')).toContain('1 of 1 receipt signed right')
    expect(await words(legal.page, 'proof-receipts')).toContain(
      'There is none of AB/1: none is signed where only a part',
    )
    await using forged = await open({
      spoil: (story) => {
        const spoilt = without(story)
        const [exhibit] = spoilt.exhibits
        if (exhibit === undefined) return spoilt
        const digest = 'f'.repeat(64)
        for (const file of [
          exhibit.media,
          exhibit.provenance.source,
          spoilt.manifest.find(({ path: at }) => at === exhibit.media.path),
        ])
          Object.assign(file ?? {}, { sha256: digest })
        return spoilt
      },
    })
    await expect.poll(async () => await state(forged.page, 'proof-exhibits'), patience).toBe('wrong')
    expect(await findings(forged.page)).toEqual([
      'Exhibit AB/1 data/exhibits/AB_1/BWC_0001.MP4 is not what came into custody by any entry of the ledger that is here.',
    ])
  })

  it('says in words where the browser cannot check signatures', async () => {
    const before = `SubtleCrypto.prototype.importKey = async () => { throw new DOMException('no', 'NotSupportedError') }`
    await using screen = await open({ before })
    const { page, folder } = screen
    await expect
      .poll(async () => await words(page, 'proof-receipts'), patience)
      .toContain('cannot check the signatures')
    expect(await words(page, 'proof-log')).toContain('this browser cannot check its signature (Ed25519)')
    expect(await page.locator('.leaf').first().textContent()).toBe('leaf 3 of 33 in the log, its signature not checked')
    await choose(page, folder)
    expect(await state(page, 'whole')).toBe('open')
    expect(await words(page, 'whole')).toContain('could not check the signatures')
  })

  it('does nothing that a hostile title asks of it', async () => {
    const title = `</script><script>globalThis.struck = 1</script><img src="//example.org/x" onerror="globalThis.struck = 1">\u202e`
    await using screen = await open({ title })
    const { page, folder } = screen
    await proven(page)
    await choose(page, folder)
    expect(await page.evaluate('globalThis.struck')).toBeUndefined()
    expect(await page.locator('img').count()).toBe(0)
    expect(await words(page, 'whole')).toContain('nothing is missing, added or altered')
    expect(screen.elsewhere).toEqual([])
    expect(screen.complaints).toEqual([])
  })

  it.each(
    someOf(2, [
      { where: 'on a desk, in light', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
      { where: 'on a telephone, in dark', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
      { where: 'on a desk, in dark', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
      { where: 'on a telephone, in light', colorScheme: 'light', viewport: { width: 360, height: 740 } },
      { where: 'on a wall', colorScheme: 'dark', viewport: { width: 3840, height: 2160 } },
    ] as const),
  )('has no serious barrier $where, and nothing sticks out', async ({ where: _, ...options }) => {
    await using screen = await open({ screen: options, title: 'A case of which the title is long '.repeat(4) })
    const { page } = screen
    await proven(page)
    await page.locator('summary').click()
    expect(await barriers(page)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(options.viewport.width)
  })

  it('is reached by the keyboard alone, and prints with every file listed', async () => {
    await using screen = await open()
    const { page } = screen
    await page.locator('body').press('Tab')
    expect(await page.evaluate('document.activeElement.id')).toBe('folder')
    await page.evaluate('dispatchEvent(new Event("beforeprint"))')
    await page.emulateMedia({ media: 'print' })
    expect(
      await page
        .getByRole('cell', { name: /^[0-9a-f]{64}$/ })
        .first()
        .isVisible(),
    ).toBe(true)
    expect(await page.locator('#zone').isVisible()).toBe(false)
  })
})
