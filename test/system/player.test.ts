import { source as axe } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ViewingState } from '../../src/viewings/schemas.ts'
import { someOf } from '../long.ts'
import { frameShown } from '../numbered-frames.ts'
import { become, halfMade, openViewing, oweAnew, stopWatching } from './watched.ts'

/** The footage: 25 frames a second, each with its number in it. */
const frameRate = 25

let browser: Browser
beforeAll(async () => {
  const quiet = ['background-networking', 'component-update', 'sync'].map((what) => `--disable-${what}`)
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--autoplay-policy=no-user-gesture-required', ...quiet],
  })
})
afterAll(async () => {
  await browser.close()
  await stopWatching()
})

/** Long enough for two busy cores. */
const patience = { timeout: 20_000 }

type Screen = AsyncDisposable & { page: Page; playerUrl: string; complaints: string[]; elsewhere: string[] }

/** A viewing of its own on a screen of its own, its first frame shown. */
const watch = async (
  options: BrowserContextOptions = {},
  before?: string,
  kind?: Parameters<typeof openViewing>[0],
): Promise<Screen> => {
  const viewing = await openViewing(kind)
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  const elsewhere: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'blob:' && url.origin !== new URL(viewing.playerUrl).origin) elsewhere.push(url.origin)
  })
  if (before !== undefined) await page.addInitScript(before)
  await page.goto(viewing.playerUrl)
  await expect
    .poll(async () => await page.evaluate(`document.querySelector('video')?.readyState ?? 0`), patience)
    .toBe(4)
  await expect.poll(async () => await clockOf(page), patience).toMatch(/\.\d{3}$/)
  return {
    page,
    playerUrl: viewing.playerUrl,
    complaints,
    elsewhere,
    [Symbol.asyncDispose]: async () => {
      await context.close()
      await viewing.end()
    },
  }
}

const clockOf = async (page: Page): Promise<string> => (await page.locator('#clock-time').textContent()) ?? ''
/** Seconds since midnight. */
const secondsOf = (clock: string): number => clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
const video = async <T>(page: Page, property: string): Promise<T> =>
  await page.evaluate<T>(`document.querySelector('video').${property}`)
const showsFrame = async (page: Page, frame: number): Promise<void> =>
  await expect.poll(async () => await frameShown(page), patience).toBe(frame)

/** What the page asked of its viewing, from now on. */
const questionsOf = (page: Page): string[] => {
  const asked: string[] = []
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url())
    if (pathname.endsWith('/state')) asked.push(search)
  })
  return asked
}

/** What axe finds that is serious or worse. */
const barriers = async (page: Page): Promise<string[]> => {
  await page.evaluate(axe)
  return await page.evaluate<string[]>(`axe.run().then(({ violations }) => violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target).join(', ')))`)
}

describe('the player', () => {
  it('lets the viewing live on while somebody steps from frame to frame, though no segment is asked for', async () => {
    await using screen = await watch()
    const asked = questionsOf(screen.page)
    await screen.page.keyboard.press('.')
    await showsFrame(screen.page, 1)
    await expect.poll(() => asked, patience).toContain('?active=true')
  })

  it('plays: frames change, the clock goes with them, seeks and steps land on the frame asked for', async () => {
    await using screen = await watch()
    const { page } = screen
    const start = secondsOf(await clockOf(page))
    await showsFrame(page, 0)

    await page.getByRole('button', { name: 'Play' }).click()
    await expect.poll(async () => await frameShown(page), patience).toBeGreaterThan(20)
    await page.getByRole('button', { name: 'Pause' }).click()
    await expect.poll(async () => await clockOf(page), patience).toMatch(/\.\d{3}$/)
    const stopped = await frameShown(page)
    expect(secondsOf(await clockOf(page)) - start).toBeCloseTo(stopped / frameRate, 2)

    await page.keyboard.press('.')
    await showsFrame(page, stopped + 1)
    await page.keyboard.press('.')
    await showsFrame(page, stopped + 2)
    await page.getByRole('button', { name: 'One frame back' }).click()
    await showsFrame(page, stopped + 1)
    await page.getByRole('button', { name: 'One frame on' }).click()
    await showsFrame(page, stopped + 2)

    await page.keyboard.press('Home')
    await showsFrame(page, 0)
    await page.keyboard.press('l')
    await showsFrame(page, 10 * frameRate)
    await page.keyboard.press('ArrowLeft')
    await showsFrame(page, 5 * frameRate)
    await page.keyboard.press(',')
    await showsFrame(page, 5 * frameRate - 1)

    const bar = page.getByRole('slider', { name: 'Position in the recording' })
    const { width } = (await bar.boundingBox()) ?? { width: 0 }
    await bar.click({ position: { x: Math.round(width * 0.52), y: 20 } })
    await expect.poll(async () => await video<boolean>(page, 'seeking'), patience).toBe(false)
    const asked = await video<number>(page, 'currentTime')
    expect(asked).toBeCloseTo((await video<number>(page, 'duration')) * 0.52, 0)
    await showsFrame(page, Math.floor(asked * frameRate))
    expect(await bar.getAttribute('aria-valuetext')).toMatch(/^\d\d:\d\d:\d\d \w+, \d+ seconds of \d+ seconds$/)

    expect(screen.elsewhere).toEqual([])
    expect(screen.complaints).toEqual([])
  })

  it('plays by the HLS of the browser itself where that is all there is', async () => {
    await using screen = await watch({}, 'delete globalThis.MediaSource; delete globalThis.ManagedMediaSource')
    const { page } = screen
    expect(await video(page, 'currentSrc')).toMatch(/playlist\.m3u8$/)
    const start = secondsOf(await clockOf(page))
    await page.getByRole('button', { name: 'Play' }).click()
    await expect.poll(async () => await frameShown(page), patience).toBeGreaterThan(20)
    await page.getByRole('button', { name: 'Pause' }).click()
    await expect.poll(async () => secondsOf(await clockOf(page)) - start, patience).toBeGreaterThan(0.7)
    expect(screen.elsewhere).toEqual([])
    expect(screen.complaints).toEqual([])
  })

  it('plays what is there while it is to be made anew, and says nothing of it', async () => {
    await using _anew = await oweAnew()
    await using screen = await watch()
    const { page } = screen
    await showsFrame(page, 0)
    expect(await page.locator('#notice').isHidden()).toBe(true)
    await page.keyboard.press('l')
    await showsFrame(page, 10 * frameRate)
    await expect.poll(async () => await page.locator('#position').textContent(), patience).toBe('0:10 of 0:40')
  })

  it('says of a part that is still being made that it is, and when all of it can be played', async () => {
    await using screen = await (async () => {
      await using _half = await halfMade('hls', 'proxy')
      const screen = await watch()
      const { page } = screen
      const said = async () => await page.locator('#said').textContent()
      await expect.poll(said, patience).toContain('What is there can be watched already.')
      const bar = page.getByRole('slider', { name: 'Position in the recording' })
      const { width } = (await bar.boundingBox()) ?? { width: 0 }
      await bar.click({ position: { x: Math.round(width * 0.8), y: 20 } })
      expect(await said()).toBe('That part is still being made.')
      expect(await video<number>(page, 'currentTime')).toBeLessThan(20)
      return screen
    })()
    await expect
      .poll(async () => await screen.page.locator('#said').textContent(), patience)
      .toBe('All of it can be played now.')
  })

  it('plays sound alone, and says that there is no picture, and what of the recording it does not play', async () => {
    await using screen = await watch({}, undefined, 'sound')
    const { page } = screen
    const start = secondsOf(await clockOf(page))
    await page.getByRole('button', { name: 'Play' }).click()
    await expect.poll(async () => await video<number>(page, 'currentTime'), patience).toBeGreaterThan(1)
    await page.getByRole('button', { name: 'Pause' }).click()
    await expect.poll(async () => secondsOf(await clockOf(page)) - start, patience).toBeGreaterThan(1)
    expect(await page.getByText('This recording has sound only.').isVisible()).toBe(true)
    expect(await page.getByText('The original has 1 more sound track.').isVisible()).toBe(true)
    expect(await barriers(page)).toEqual([])
    expect(screen.complaints).toEqual([])
  })

  it('answers to the keyboard', async () => {
    await using screen = await watch()
    const { page } = screen
    await page.keyboard.press('k')
    await expect.poll(async () => await video(page, 'paused'), patience).toBe(false)
    await page.keyboard.press(' ')
    await expect.poll(async () => await video(page, 'paused'), patience).toBe(true)
    await page.keyboard.press('m')
    expect(await video(page, 'muted')).toBe(true)
    await page.keyboard.press('>')
    expect(await video(page, 'playbackRate')).toBe(1.25)
    await page.keyboard.press('<')
    await page.keyboard.press('<')
    expect(await video(page, 'playbackRate')).toBe(0.75)
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('f')
    await page.getByRole('button', { name: 'Leave full screen' }).waitFor()
    await page.keyboard.press('f')
    await page.getByRole('button', { name: 'Full screen', exact: true }).waitFor()
    expect(screen.complaints).toEqual([])
  })

  it('shows the storyboard over the seek bar, who is watching and why, and what is written down of it', async () => {
    await using screen = await watch()
    const { page } = screen
    const storyboard = page.waitForResponse((answer) => /storyboard\/.*\.jpg$/.test(answer.url()))
    await page.locator('#seek').hover()
    expect((await storyboard).status()).toBe(200)
    expect(await page.locator('.preview-time').textContent()).toMatch(/^\d\d:\d\d:\d\d (GMT|BST)$/)
    expect(await page.locator('#recorded').textContent()).toMatch(
      /This viewing is recorded:.*What you watch is written/,
    )
    expect(await page.title()).not.toContain(new URL(screen.playerUrl).pathname.split('/').at(-2))
    await expect.poll(async () => await page.locator('.track-watched span').count(), patience).toBeGreaterThan(0)
    expect(await page.locator('#fact-watched').textContent()).toContain(' of ')
    expect(screen.complaints).toEqual([])
  })

  it('shows a storyboard that is made while the page is open, and does not ask for it before', async () => {
    await using screen = await (async () => {
      await using _half = await halfMade('storyboard')
      const screen = await watch()
      const asked = questionsOf(screen.page)
      await expect.poll(() => asked.length, patience).toBeGreaterThan(0)
      return screen
    })()
    const { page, complaints } = screen
    expect(complaints).toEqual([])
    await page.waitForResponse(/storyboard\.vtt$/, patience)
    await page.locator('#seek').hover()
    await page.locator('.preview-picture').waitFor(patience)
    expect(complaints).toEqual([])
  })

  it.each(
    someOf(2, [
      { where: 'on a desk, in light', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
      { where: 'on a telephone, in dark', colorScheme: 'dark', viewport: { width: 360, height: 740 }, hasTouch: true },
      { where: 'on a desk, in dark', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
      {
        where: 'on a telephone, in light',
        colorScheme: 'light',
        viewport: { width: 360, height: 740 },
        hasTouch: true,
      },
      { where: 'on a wall', colorScheme: 'dark', viewport: { width: 3840, height: 2160 } },
    ] as const),
  )(
    'has no serious barrier $where, and nothing sticks out or is too small to touch',
    async ({ where: _, ...options }) => {
      await using screen = await watch(options)
      const { page } = screen
      expect(await barriers(page)).toEqual([])
      expect(await page.evaluate(`document.documentElement.scrollWidth`)).toBe(options.viewport.width)
      const small = `[...document.querySelectorAll('button, select, input, [role=slider]')]
      .filter((control) => control.checkVisibility())
      .filter((control) => Math.min(control.offsetWidth, control.offsetHeight) < 44).map(({ id }) => id)`
      expect(await page.evaluate(small)).toEqual([])
      await page.keyboard.press('?')
      expect(await barriers(page)).toEqual([])
    },
  )

  it('says in words that the viewing has ended, and takes the picture away', async () => {
    await using screen = await watch()
    const { page, playerUrl } = screen
    expect((await fetch(new URL('close', playerUrl), { method: 'POST' })).status).toBe(204)
    await page.getByRole('heading', { name: 'This viewing has ended' }).waitFor(patience)
    expect(await page.locator('video').isVisible()).toBe(false)
    expect(await page.getByText('open the recording again').isVisible()).toBe(true)
    expect(await barriers(page)).toEqual([])
  })

  it.each([
    ['suspended', 'You may no longer watch this recording', 'speak to a supervisor'],
    ['grace', 'This recording can no longer be watched', 'It can still be restored'],
    ['quarantined', 'This recording can no longer be watched', 'It is kept, and never served'],
  ] as const)(
    'takes the picture away and says why when what is watched, or who watches, is %s',
    async (what, title, text) => {
      await using screen = await watch()
      const { page } = screen
      await using _until = await become(what)
      await page.getByRole('heading', { name: title }).waitFor(patience)
      expect(await page.locator('video').isVisible()).toBe(false)
      expect(await page.getByText(text).isVisible()).toBe(true)
      expect(await barriers(page)).toEqual([])
    },
  )

  it('closes the viewing when the page is left, and not when it is loaded again', async () => {
    await using screen = await watch()
    const { page, playerUrl } = screen
    const state = async () => Value.Parse(ViewingState, await (await fetch(new URL('state', playerUrl))).json())
    const lastsFor = async () => Date.parse((await state()).expiresAt) - Date.now()
    await page.reload()
    const asked = questionsOf(page)
    await showsFrame(page, 0)
    // What the page said as it was left has come by then, and is taken back.
    await expect.poll(() => asked.length, patience).toBeGreaterThan(0)
    await expect.poll(lastsFor, patience).toBeGreaterThan(60_000)
    expect(await page.getByRole('heading', { name: 'This viewing has ended' }).isVisible()).toBe(false)
    await page.goto('about:blank')
    await expect.poll(lastsFor, patience).toBeLessThan(25_000)
    expect(screen.complaints).toEqual([])
  })
})
