import { describe, expect, it } from 'vitest'
import { playerFiles, playerPolicy } from '../../src/viewings/player-files.ts'

const page = (name: string) => new URL(`../../src/viewings/player/${name}`, import.meta.url).href
const text = (name: string): string => playerFiles.get(name)?.bytes.toString() ?? ''

/** The page's own code is JavaScript, as the browser gets it. */
type Clock = {
  clockTime(at: Date, how?: { exact?: boolean }): string
  clockZone(at: Date): string
  momentOf(start: string, seconds: number): Date
  position(seconds: number): string
  spoken(seconds: number): string
  clockDifference(recordedAt: string, correctedAt: string): string | null
}
const clock: Clock = await import(page('clock.js'))
const storyboard: { cuesOf(text: string): object[]; cueAt(cues: object[], time: number): object | undefined } =
  await import(page('storyboard.js'))
const flags: { flagInWords(flag: string): { title: string; text: string } } = await import(page('flags.js'))
type Part = { state: string; progress: number; playable?: boolean; complete?: boolean } | null
const progress: {
  progressOf(
    viewing: { playable: { hls: Part; proxy: Part } },
    available: number,
  ): { able: boolean; failed: string | undefined; waiting: string | undefined }
} = await import(page('progress.js'))

describe('the files of the player page', () => {
  it('are all there that the page and its modules name, and nothing is named from another host', () => {
    const named = [...playerFiles.keys()]
      .filter((name) => name !== 'hls.js')
      .flatMap((name) => [
        ...[...text(name).matchAll(/(?:href|src)="player\/([^"]+)"/g)].map(([, file]) => file ?? ''),
        ...[...text(name).matchAll(/from '\.\/([^']+)'|import\('\.\/([^']+\.js)'\)/g)].map(([, a, b]) => a ?? b ?? ''),
      ])
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((name) => !playerFiles.has(name))).toEqual([])
    const hosts = [...playerFiles.keys()].filter(
      (name) => name !== 'hls.js' && /['"(](?:https?:)?\/\/(?!www\.w3\.org\/2000\/svg)/.test(text(name)),
    )
    expect(hosts).toEqual([])
  })

  it('carry nothing inline that their own policy would refuse', () => {
    expect(text('')).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script>/)
    expect(playerPolicy).not.toMatch(/unsafe|https?:|data:|\*/)
    expect(playerPolicy).toContain("default-src 'none'")
  })
})

describe('the times on the player page', () => {
  it('are the wall clock of the United Kingdom, in winter and in summer', () => {
    const winter = clock.momentOf('2026-11-25T22:15:04Z', 10.32)
    expect(clock.clockTime(winter)).toBe('22:15:14')
    expect(clock.clockTime(winter, { exact: true })).toBe('22:15:14.320')
    expect(clock.clockZone(winter)).toBe('GMT')
    const summer = clock.momentOf('2026-07-01T22:15:04Z', 0)
    expect(clock.clockTime(summer)).toBe('23:15:04')
    expect(clock.clockZone(summer)).toBe('BST')
  })

  it('say how long and how far in words', () => {
    expect(clock.position(3723.4)).toBe('1:02:03')
    expect(clock.position(9)).toBe('0:09')
    expect(clock.spoken(3661)).toBe('1 hour 1 minute 1 second')
    expect(clock.spoken(0)).toBe('0 seconds')
  })

  it('say by how much the camera clock differed, and nothing where it did not', () => {
    expect(clock.clockDifference('2026-11-25T22:13:00Z', '2026-11-25T22:15:04Z')).toMatch(
      /^The camera clock differs: it showed 22:13:00 .* 2 minutes 4 seconds slow\./,
    )
    expect(clock.clockDifference('2026-11-25T22:15:05Z', '2026-11-25T22:15:04Z')).toContain('1 second fast')
    expect(clock.clockDifference('2026-11-25T22:15:04Z', '2026-11-25T22:15:04.000Z')).toBeNull()
  })
})

describe('the storyboard', () => {
  const index =
    'WEBVTT\n\n1\n00:00.000 --> 00:02.000\nstoryboard/sheet-000.jpg#xywh=0,0,160,90\n\n' +
    'NOTE a word\n\nnot a cue\n\r\n00:00:02.000 --> 01:00:04.500 align:start\nstoryboard/sheet-001.jpg#xywh=160,90,160,90\n'

  it('is read cue by cue, and what is not a cue is left out', () => {
    expect(storyboard.cuesOf(index)).toEqual([
      { start: 0, end: 2, sheet: 'storyboard/sheet-000.jpg', x: 0, y: 0, width: 160, height: 90 },
      { start: 2, end: 3604.5, sheet: 'storyboard/sheet-001.jpg', x: 160, y: 90, width: 160, height: 90 },
    ])
    expect(storyboard.cuesOf('<html>')).toEqual([])
  })

  it('shows the piece of a time, and the last one after the end', () => {
    const cues = storyboard.cuesOf(index)
    expect(storyboard.cueAt(cues, 1.9)).toBe(cues[0])
    expect(storyboard.cueAt(cues, 2)).toBe(cues[1])
    expect(storyboard.cueAt(cues, 9999)).toBe(cues[1])
    expect(storyboard.cueAt([], 1)).toBeUndefined()
  })
})

describe('flags', () => {
  it('say why a recording is silent at the start, and not for how long: that differs', () => {
    const { text: said } = flags.flagInWords('silent_start')
    expect(said).toContain('filmed before the button was pressed')
    expect(said).not.toMatch(/\d|ten|fifteen|thirty|sixty|minute/)
  })

  it('are told in plain words, and one that nobody described as its word', () => {
    for (const flag of [
      'truncated',
      'silent_start',
      'clock_drift',
      'clock_implausible',
      'sequence_gap',
      'unplayable',
    ]) {
      expect(flags.flagInWords(flag).text).not.toBe('')
      expect(flags.flagInWords(flag).title).not.toContain('_')
    }
    expect(flags.flagInWords('digest_disputed').text).toContain('supervisor')
    expect(flags.flagInWords('gps_lost')).toEqual({ title: 'gps_lost', text: '' })
    expect(flags.flagInWords('constructor').title).toBe('constructor')
  })
})

describe('how far the playable form is', () => {
  const told = (hls: Part, proxy: Part = null, available = 0) =>
    progress.progressOf({ playable: { hls, proxy } }, available)

  it('is told while it is being made, and not once something is ready', () => {
    expect(told({ state: 'owed', progress: 0 })).toMatchObject({ able: false, waiting: expect.stringContaining('0 %') })
    expect(told({ state: 'working', progress: 0.43 }, null, 18)).toMatchObject({
      able: true,
      waiting: 'Still being made ready to play: 43 %. What is there can be watched already.',
    })
    expect(told({ state: 'ready', progress: 1 }, { state: 'owed', progress: 0 })).toEqual({
      able: true,
      failed: undefined,
      waiting: undefined,
    })
  })

  it('is not told while what was made earlier can be watched', () => {
    const again = { state: 'owed', progress: 0, playable: true, complete: true }
    expect(told(again)).toEqual({ able: true, failed: undefined, waiting: undefined })
    expect(told({ ...again, progress: 0.4 }, again, 18)).toMatchObject({ able: true, waiting: undefined })
  })

  it('is told as failed only when nothing else will come', () => {
    expect(told({ state: 'failed', progress: 0 }).failed).toContain('original is kept')
    expect(told({ state: 'failed', progress: 0 }, { state: 'owed', progress: 0 }).failed).toBeUndefined()
  })
})
