import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { Value } from 'typebox/value'
import type { RecordingId } from '../src/base/ids.ts'
import { openBrowser } from '../src/cli/demo/watch.ts'
import { issueToken } from '../src/engines/embedded/issue-token.ts'
import { ViewingOpened } from '../src/viewings/schemas.ts'
import { sendWhole, untilIdle, untilRendition } from './arrival.ts'
import { ffmpeg, makeFootage } from './footage.ts'
import { type Installation, install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Result, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const rounds = 3
const minutes = 10
const patienceMs = 60_000

const secondsOf = async (work: () => Promise<void>): Promise<number> => {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

const byFfmpegAlone = async (folder: string, footage: string): Promise<number> => {
  const out = mkdtempSync(join(folder, 'alone-'))
  const hls = ['-f', 'hls', '-hls_segment_type', 'fmp4', '-hls_time', '6', '-hls_playlist_type', 'event']
  const seconds = await secondsOf(
    async () => await ffmpeg('-i', footage, '-c', 'copy', ...hls, join(out, 'index.m3u8')),
  )
  rmSync(out, { recursive: true })
  return seconds
}

/** Opens a viewing as soon as there is something to see, and waits until the player's clock moves. */
const untilPlaying = async (page: Page, url: string, recording: RecordingId, token: string): Promise<void> => {
  const limit = Date.now() + patienceMs
  const ask = async () => {
    const answer = await fetch(`${url}/api/v1/recordings/${recording}/viewings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'Bench' }),
    })
    const said: unknown = await answer.json()
    if (Value.Check(ViewingOpened, said)) return said.playerUrl
    if ((answer.status !== 404 && answer.status !== 409) || Date.now() > limit)
      throw new Error(`no viewing: ${JSON.stringify(said)}`)
    return undefined
  }
  let player = await ask()
  for (; player === undefined; player = await ask()) await delay(20)
  await page.goto(player)
  // The promise that play() gives is not waited for: only frames count.
  await page.evaluate("void document.querySelector('video').play().catch(() => undefined)")
  const moves = async () => (await page.evaluate<number>("document.querySelector('video').currentTime")) > 0
  for (; !(await moves()); await delay(10)) if (Date.now() > limit) throw new Error('the player does not play')
}

const result = (what: string, seconds: number[], alone: number[], times: number, more: number): Result => ({
  what,
  against: `${times} times \`ffmpeg -c copy -f hls\` of the local file, and ${more} s`,
  ratio: ratioOf(
    seconds,
    alone.map((one) => one * times + more),
  ),
  target: { atMost: 1 },
  ours: inWords(spreadOf(seconds), 's', 2),
  theirs: `${inWords(spreadOf(alone), 's', 2)} alone`,
})

const run = async (stack: Stack, installation: Installation, page: Page): Promise<Row> => {
  const { url } = installation
  const footage = await makeFootage(stack.folder, minutes)
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const { issuer } = stack.engines.identityProvider
  const watched = contender(async () => {
    const token = await issueToken({ issuer, role: 'investigator' })
    const recording = await sendWhole(installation, dock, footage)
    const seconds = await secondsOf(async () => await untilPlaying(page, url, recording, token))
    await page.goto('about:blank')
    await untilIdle(installation)
    return seconds
  })
  const unwatched = contender(async () => {
    const recording = await sendWhole(installation, dock, footage)
    const seconds = await secondsOf(async () => await untilRendition(installation, recording, 'hls', 'ready'))
    await untilIdle(installation)
    return seconds
  })
  const alone = contender(async () => await byFfmpegAlone(stack.folder, footage))
  await inTurn(rounds, [watched, unwatched, alone])
  return {
    results: [
      result('last byte → first frame in the player', watched.samples, alone.samples, 1.5, 2),
      result('last byte → whole rendition stored', unwatched.samples, alone.samples, 2, 3),
    ],
    how: [
      `${minutes} minutes of 1080p H.264 with AAC at 5 Mbit/s. The clock runs from the answer to the last PATCH; the viewing is asked for every 20 ms, and the first frame is there when the clock of Chromium's player has moved, its page loaded in between. The whole rendition is waited for in an upload of its own, which nobody watches: Chromium decodes on the same two cores.`,
      'Between rounds every other rendition (small form, poster, storyboard) is waited for.',
    ],
  }
}

/** How long after the last byte footage is on the screen, and all of it ready to be watched. */
export const playback = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: true })
  const browser = await openBrowser()
  try {
    return await run(stack, installation, await browser.newPage())
  } finally {
    await browser.close()
  }
}
