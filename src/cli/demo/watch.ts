import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, chromium } from 'playwright-core'
import { Failure } from '../failure.ts'

/** No sandbox of Chromium's own as root, no sound, no calls home. */
const quiet = [
  ...['--no-sandbox', '--disable-gpu', '--mute-audio', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--autoplay-policy=no-user-gesture-required'],
]

const playsWithinMs = 30_000

/** Chromium from the system's packages, without a window. Throws Failure where there is none. */
export const openBrowser = async (): Promise<Browser> => {
  try {
    return await chromium.launch({ executablePath: '/usr/bin/chromium', args: quiet })
  } catch (error) {
    throw new Failure('Chromium does not start here: install the package chromium.', error)
  }
}

export type Watched = {
  /** Frames that the page showed, and seconds of the recording that passed. */
  frames: number
  seconds: number
  /** Hosts other than the installation's that the page asked. */
  strangers: string[]
}

/** Opens a player's page, lets it play for a moment, and keeps a still of it, a PNG, in `still`. Throws Failure. */
export const watch = async (playerUrl: string, still: string): Promise<Watched> => {
  const browser = await openBrowser()
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    const strangers = new Set<string>()
    const { host } = new URL(playerUrl)
    page.on('request', (request) => {
      const asked = new URL(request.url())
      if (asked.protocol.startsWith('http') && asked.host !== host) strangers.add(asked.host)
    })
    await page.goto(playerUrl)
    // As a text: what runs in the page knows things that this program has no words for.
    const ask = async (of: string) => Number(await page.evaluate(`document.querySelector('video').${of}`))
    await page.evaluate("document.querySelector('video').play()")
    for (const limit = Date.now() + playsWithinMs; (await ask('currentTime')) < 1; await delay(100))
      if (Date.now() > limit) throw new Error('nothing moved')
    await page.screenshot({ path: still })
    const frames = await ask('getVideoPlaybackQuality().totalVideoFrames')
    const seconds = await ask('currentTime')
    return { frames, seconds, strangers: [...strangers] }
  } catch (error) {
    throw new Failure('The player did not play.', error)
  } finally {
    await browser.close()
  }
}
