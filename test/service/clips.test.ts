import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hex, sha256 } from '../../src/base/digest.ts'
import { type ClipId, newId, type RecordingId } from '../../src/base/ids.ts'
import { listClips, readClip, requestClip } from '../../src/clips/actions.ts'
import { clipPrefix } from '../../src/clips/clip.ts'
import { cutClip } from '../../src/clips/cut.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { makeFfmpeg } from '../../src/engines/ffmpeg.ts'
import type { RecordingStatus } from '../../src/engines/tables.ts'
import { TakenOver } from '../../src/jobs/job.ts'
import type { Person } from '../../src/people/person.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { catalogued, entriesAbout, kept, someone } from '../catalogued.ts'
import { ask, clipFile, cutNow, numbersIn, recorded, rowOf } from '../clipped.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf, runOf } from '../footsteps.ts'
import { someOf } from '../long.ts'
import { numberedFrames } from '../numbered-frames.ts'
import { ffmpeg, ffprobe, flashAndBeep } from '../shown.ts'

let engines: TestEngines
let person: Person
let folder: string
let usual: RecordingId
const picture = `testsrc2=s=320x180:r=25:d=6,${numberedFrames}`
const at = (name: string) => path.join(folder, name)
const tracks = JSON.stringify([{ kind: 'video', codec: 'h264' }])
const someFootage = { duration: 60, tracks }

beforeAll(async () => {
  engines = await testEngines({ env: { CLIPS_OWED: '60' } })
  person = await someone(engines, ['investigator'])
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-clips-'))
  await ffmpeg(
    ...['-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', 'sine=d=6', '-c:v', 'libx264', '-g', '25', '-c:a', 'aac'],
    ...['-metadata', 'title=PC1234 Smith', '-metadata', 'location=+51.5-000.1/', at('usual.mp4')],
  )
  usual = await recorded(engines, at('usual.mp4'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

const asking = (recording: RecordingId, start: number, end: number, reached: Engines = engines, who = person) =>
  requestClip(reached, who, recording, { start, end, title: 'What happened', reason: 'case 12/3456' })
const objectsOf = async (recording: RecordingId, clip: ClipId) =>
  await engines.store.list('derived', clipPrefix(recording, clip))
const actionsOf = async (recording: RecordingId) =>
  (await entriesAbout(engines, recording)).map(({ action, outcome }) => `${action} ${outcome}`)
const setStatus = async (recording: RecordingId, status: RecordingStatus) =>
  await engines.db.updateTable('recordings').set({ status }).where('id', '=', recording).execute()

describe('asking for a clip', () => {
  test('is an entry with the reason, and a job that follows from it', async () => {
    const recording = await catalogued(engines, someFootage)
    const { id } = await asking(recording, 1.5, 4)
    const clip = await rowOf(engines, id)
    expect(clip).toMatchObject({ recording, person: person.id, starts: 1.5, ends: 4, state: 'owed', sha256: null })
    expect(await entriesAbout(engines, recording)).toEqual([
      {
        operation: 'consultation',
        action: 'clip.request',
        outcome: 'allowed',
        actor: { kind: 'person', id: person.id, role: 'investigator' },
        purpose: 'case 12/3456',
        detail: { clip: id, title: 'What happened', start: 1.5, end: 4 },
      },
    ])
    const job = await engines.db.selectFrom('jobs').selectAll().where('id', '=', clip.job).executeTakeFirstOrThrow()
    expect(job).toMatchObject({ name: 'cut-clip', payload: { clipId: id }, cause: clip.entry, state: 'owed' })
  })

  test('owes nothing when its entry cannot be written', async () => {
    const recording = await catalogued(engines, someFootage)
    const instant = () => {
      throw new Error('no time')
    }
    const stopped = { ...engines, clock: { ...engines.clock, instant } }
    await expect(asking(recording, 1, 2, stopped)).rejects.toThrow('no time')
    expect((await listClips(engines, person, recording, {})).items).toEqual([])
  })

  test.for([
    ['reversed', 4, 2, 'bad-request', 'empty'],
    ['empty', 4, 4, 'bad-request', 'empty'],
    ['shorter than time is told apart', 4, 4.000_000_4, 'bad-request', 'empty'],
    ['begun after the end', 60, 61, 'clip-outside-recording', 'begins after'],
    ['ended after the end', 59, 60.2, 'clip-outside-recording', 'ends after'],
  ] as const)('of a range that is %s is refused in words', async ([, start, end, code, words]) => {
    const recording = await catalogued(engines, someFootage)
    const problem = await problemOf(asking(recording, start, end))
    expect(problem?.code).toBe(code)
    expect(problem?.detail).toContain(words)
    expect(await actionsOf(recording)).toEqual(['clip.request denied'])
  })

  test.for([
    ['received', 'not-ready'],
    ['verified', 'not-ready'],
    ['quarantined', 'quarantined'],
    ['due', 'conflict'],
    ['grace', 'conflict'],
    ['erased', 'erased'],
  ] as const)('of a recording that is %s is refused', async ([status, code]) => {
    const recording = await catalogued(engines, { ...someFootage, status })
    const problem = await problemOf(asking(recording, 1, 2))
    expect(problem?.code).toBe(code)
    if (code === 'not-ready') expect(problem?.retryAfter).toBeGreaterThan(0)
    else expect(await actionsOf(recording)).toEqual(['clip.request denied'])
  })

  test('of what nobody can play, of sound alone and of nothing at all is refused', async () => {
    const unplayable = await catalogued(engines, { ...someFootage, flags: ['unplayable'] })
    const sound = await catalogued(engines, { duration: 60, tracks: JSON.stringify([{ kind: 'audio', codec: 'aac' }]) })
    expect(await codeOf(asking(unplayable, 1, 2))).toBe('clip-impossible')
    expect((await problemOf(asking(sound, 1, 2)))?.detail).toContain('sound alone')
    expect(await codeOf(asking(newId<RecordingId>(), 1, 2))).toBe('not-found')
    const officer = await someone(engines, ['officer'], 'PC1')
    expect(await codeOf(asking(usual, 1, 2, engines, officer))).toBe('not-found')
  })

  test('a thousand times at once gets what the limit lets through, and words for the rest', async () => {
    const greedy = await someone(engines, ['investigator'])
    const recording = await catalogued(engines, someFootage)
    const codes: string[] = []
    for (let n = 0; n < 1000; n += 50) {
      const asked = Array.from({ length: 50 }, async () => await codeOf(asking(recording, 1, 2, engines, greedy)))
      codes.push(...(await Promise.all(asked)))
    }
    expect(codes.filter((code) => code === 'accepted')).toHaveLength(60)
    expect(codes.filter((code) => code === 'too-many-clips')).toHaveLength(940)
  })

  test("waits for few of one person's: others have their turn, and each that ends makes the next one due", async () => {
    const [busy, other] = [await someone(engines, ['investigator']), await someone(engines, ['investigator'])]
    const clips: ClipId[] = []
    for (let n = 0; n < 10; n++) clips.push((await asking(usual, 1, 1.2, engines, busy)).id)
    const theirs = (await asking(usual, 1, 1.2, engines, other)).id
    const dueNow = async (who: Person) =>
      (
        await engines.db
          .selectFrom('clips')
          .innerJoin('jobs', 'jobs.id', 'clips.job')
          .select('clips.id')
          .where('clips.person', '=', who.id)
          .where('clips.state', '=', 'owed')
          .where('jobs.dueAt', '<=', sql<Date>`now()`)
          .orderBy('clips.id')
          .execute()
      ).map(({ id }) => id)
    expect(await dueNow(busy)).toEqual(clips.slice(0, 2))
    expect(await dueNow(other)).toEqual([theirs])
    const [first = newId<ClipId>()] = clips
    await cutClip(engines, first, runOf())
    expect(await dueNow(busy)).toEqual(clips.slice(1, 3))
  })
})

describe('a finished clip', () => {
  test('says from what, by which tool and words it was cut, and is what it says', async () => {
    const clip = await cutNow(engines, person, usual, [1.5, 4.3])
    const file = await clipFile(engines, clip, at('finished.mp4'))
    const bytes = await readFile(file)
    expect(clip).toMatchObject({
      state: 'ready',
      method: 'copied-middle',
      frames: 70,
      duration: 2.78,
      size: bytes.length,
    })
    expect(clip.sha256).toBe(hex(sha256(bytes)))
    const original = await readFile(at('usual.mp4'))
    expect(clip.provenance).toMatchObject({
      v: 1,
      source: { recording: usual, sha256: hex(sha256(original)), size: original.length, read: 'in-part' },
      asked: { start: 1.5, end: 4.3 },
      exact: { first: 1.52, last: 4.28, end: 4.3, frames: 70 },
      copied: { first: 2, frames: expect.any(Number) },
      tool: expect.stringMatching(/^ffmpeg \d/),
      checks: expect.arrayContaining([expect.stringContaining('byte for byte')]),
    })
    expect(clip.provenance?.arguments.every((words) => words.includes('-i'))).toBe(true)
    expect(JSON.stringify(clip.provenance)).not.toContain(engines.config.SCRATCH_DIR)
    expect(await actionsOf(usual)).toContain('clip.cut allowed')
  })

  test('holds nothing of the original but what is in its range', async () => {
    const marked = at('marked.mp4')
    const said = '086f3693-b7b3-4f2c-9653-21492feee5b8+collar PC1234'
    await ffmpeg(
      ...['-i', at('usual.mp4'), '-c', 'copy', '-map_metadata', '0', '-metadata', 'comment=collar PC1234'],
      ...['-bsf:v', `h264_metadata=aud=insert:sei_user_data=${said}`, marked],
    )
    const source = await readFile(marked)
    expect(source.includes('collar PC1234')).toBe(true)
    const clip = await cutNow(engines, person, await recorded(engines, marked), [0, 4.3])
    expect(clip.method).toBe('copied-middle')
    expect(clip.provenance?.checks.join()).toContain('left out')
    const file = await clipFile(engines, clip, at('unmarked.mp4'))
    expect((await readFile(file)).includes('PC1234')).toBe(false)
    const { format } = await ffprobe(file, '-show_entries', 'format_tags')
    expect(Object.keys(Object(Object(format).tags)).sort()).toEqual([
      'compatible_brands',
      'major_brand',
      'minor_version',
    ])
  })

  test('never changes', async () => {
    const clip = await cutNow(engines, person, usual, [2, 2.2])
    const change = engines.db.updateTable('clips').set({ frames: 6 }).where('id', '=', clip.id).execute()
    await expect(change).rejects.toThrow('does not change')
    expect(await cutClip(engines, clip.id, runOf())).toMatchObject({ outcome: 'skipped' })
  })

  test('is read by those who see its recording, and that is an entry', async () => {
    const recording = await recorded(engines, at('usual.mp4'))
    const waiting = await ask(engines, person, recording, 1, 2)
    expect(await readClip(engines, person, waiting)).toMatchObject({ state: 'owed', reason: 'case 12/3456', end: 2 })
    expect(await actionsOf(recording)).toEqual(['clip.request allowed'])
    await cutClip(engines, waiting, runOf())
    const disclosure = await someone(engines, ['disclosure'])
    expect(await readClip(engines, disclosure, waiting)).toMatchObject({ state: 'ready', person: { id: person.id } })
    const { items } = await listClips(engines, disclosure, recording, {})
    expect(items.map(({ id }) => id)).toEqual([waiting])
    const officer = await someone(engines, ['officer'], 'PC2')
    expect(await codeOf(readClip(engines, officer, waiting))).toBe('not-found')
    expect(await codeOf(readClip(engines, person, newId<ClipId>()))).toBe('not-found')
    const after = ['clip.cut allowed', 'clip.read allowed', 'clip.list allowed', 'clip.read denied']
    expect((await actionsOf(recording)).slice(1)).toEqual(after)
  })
})

describe('sound', () => {
  const seconds = 6
  const flash = `color=black:s=320x180:r=25:d=${seconds},drawbox=color=white:t=fill:enable='between(t,4,4.4)'`
  const beep = (rate: number) => `aevalsrc='if(between(t,4,4.4),0.8*sin(2*PI*1000*t),0)':s=${rate}:d=${seconds}`
  test.for(
    someOf(2, [
      ['beep.mp4', 48_000, ['-c:a', 'aac']],
      ['beep.mov', 44_100, ['-c:a', 'pcm_s16le']],
      ['alaw.mov', 8000, ['-c:a', 'pcm_alaw']],
      ['beep.mkv', 48_000, ['-c:a', 'libopus']],
      ['beep.avi', 48_000, ['-c:a', 'mp3']],
    ] as const),
  )('of %s is heard when it was, to the nearest frame of sound', async ([name, rate, words]) => {
    await ffmpeg(
      ...['-f', 'lavfi', '-i', flash, '-f', 'lavfi', '-i', beep(rate)],
      ...['-c:v', 'libx264', '-g', '20', ...words, at(name)],
    )
    const source = await flashAndBeep(at(name))
    const recording = await recorded(engines, at(name))
    for (const [start, first] of [
      [0, 0],
      [2.05, 2.08],
    ] as const) {
      const clip = await cutNow(engines, person, recording, [start, 5.5])
      const found = await flashAndBeep(await clipFile(engines, clip, at('heard.mp4')))
      expect(Math.abs(found.flash - (4 - first))).toBeLessThan(0.001)
      expect(Math.abs(found.beep - (source.beep - source.flash) - (4 - first))).toBeLessThan(0.0214)
    }
  })

  test('that begins late in the recording begins late in the clip', async () => {
    await ffmpeg(
      ...['-f', 'lavfi', '-i', flash, '-itsoffset', '3', '-f', 'lavfi', '-i', "aevalsrc='0.8*sin(2*PI*1000*t)':d=3"],
      ...['-c:v', 'libx264', '-g', '20', '-c:a', 'aac', at('late.mp4')],
    )
    const clip = await cutNow(engines, person, await recorded(engines, at('late.mp4')), [1.4, 5])
    const found = await flashAndBeep(await clipFile(engines, clip, at('heard-late.mp4')))
    expect(Math.abs(found.beep - 1.6)).toBeLessThan(0.0214)
  })
})

describe('what is read of the original', () => {
  test('of a long one is its index and the range', async () => {
    await ffmpeg(
      ...['-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=25:d=10,noise=alls=20:allf=t', '-f', 'lavfi', '-i', 'sine=d=10'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '4M', '-g', '50', '-c:a', 'aac', at('minute.mp4')],
    )
    await ffmpeg('-stream_loop', '11', '-i', at('minute.mp4'), '-c', 'copy', at('long.mp4'))
    const recording = await recorded(engines, at('long.mp4'))
    const id = await ask(engines, person, recording, 61.5, 66.5)
    await cutClip(engines, id, runOf())
    const { provenance, size } = await rowOf(engines, id)
    expect(provenance?.source.read).toBe('in-part')
    expect(provenance?.source.checked).toContain('was not computed anew')
    expect((provenance?.source.bytesRead ?? 0) / (size ?? 1)).toBeLessThan(3)
  })

  test('of a small one is all of it, held against its digest', async () => {
    const clip = await cutNow(engines, person, usual, [1, 2], Number.POSITIVE_INFINITY)
    expect(clip).toMatchObject({ state: 'ready', provenance: { source: { read: 'whole' } } })
    const wrong = newId<RecordingId>()
    const bytes = await readFile(at('usual.mp4'))
    await engines.store.put('originals', originalKey(wrong), bytes, sha256(bytes))
    const version = (await engines.store.facts('originals', originalKey(wrong)))?.version ?? null
    await catalogued(engines, { ...someFootage, id: wrong, size: bytes.length, objectVersion: version })
    await expect(cutNow(engines, person, wrong, [1, 2], Number.POSITIVE_INFINITY)).rejects.toThrow('no longer is what')
  })

  test('is nothing when another object stands in its place', async () => {
    const recording = await recorded(engines, at('usual.mp4'))
    const bytes = await readFile(at('usual.mp4'))
    await engines.store.put('originals', originalKey(recording), bytes, sha256(bytes))
    await expect(cutNow(engines, person, recording, [1, 2])).rejects.toThrow('no longer is what')
  })
})

describe('what does not go as it should', () => {
  test('a range in which no frame begins is a clip that failed, in words', async () => {
    const clip = await cutNow(engines, person, usual, [1.01, 1.03])
    expect(clip).toMatchObject({ state: 'failed', failure: expect.stringContaining('No frame begins'), sha256: null })
    expect(await actionsOf(usual)).toContain('clip.failed failed')
  })

  test('a clip whose recording was withdrawn meanwhile is not published, and leaves no object', async () => {
    const recording = await recorded(engines, at('usual.mp4'))
    const id = await ask(engines, person, recording, 1, 3)
    let fenced = 0
    const fence = async () => {
      fenced += 1
      if (fenced === 2) await setStatus(recording, 'grace')
    }
    await cutClip(engines, id, runOf({ fence }))
    expect(await rowOf(engines, id)).toMatchObject({
      state: 'failed',
      failure: expect.stringContaining('no longer there'),
    })
    expect(await objectsOf(recording, id)).toEqual([])
    const later = await recorded(engines, at('usual.mp4'))
    const owed = await ask(engines, person, later, 1, 3)
    await setStatus(later, 'quarantined')
    await cutClip(engines, owed, runOf())
    expect((await rowOf(engines, owed)).state).toBe('failed')
  })

  test('an attempt that was taken over publishes nothing and takes nothing of the other', async () => {
    const recording = await recorded(engines, at('usual.mp4'))
    const id = await ask(engines, person, recording, 1, 3)
    let fenced = 0
    const fence = async () => {
      fenced += 1
      if (fenced < 2) return
      await cutClip(engines, id, runOf({ attempt: 2 }))
      throw new TakenOver()
    }
    await expect(cutClip(engines, id, runOf({ fence }))).rejects.toThrow(TakenOver)
    const clip = await rowOf(engines, id)
    expect(clip).toMatchObject({ state: 'ready', attempt: 2 })
    expect(await objectsOf(recording, id)).toEqual([`${clipPrefix(recording, id)}-2.mp4`])
    await clipFile(engines, clip, at('second.mp4'))
  })

  test('damage within the range is left to the eye: what can be decoded is cut, what cannot is named', async () => {
    const bytes = await readFile(at('usual.mp4'))
    const { packets } = await ffprobe(at('usual.mp4'), '-select_streams', 'v:0', '-show_entries', 'packet=pos,size')
    if (!Array.isArray(packets)) throw new Error('no packets')
    for (const { pos, size } of packets.slice(60, 64)) bytes.fill(0xff, Number(pos) + 6, Number(pos) + Number(size))
    const recording = await kept(engines, bytes, { ...someFootage, duration: 6 })
    const clip = await cutNow(engines, person, recording, [1.5, 4.3])
    if (clip.state === 'failed') expect(clip.failure).toContain('can be downloaded')
    else {
      expect(clip).toMatchObject({ state: 'ready', method: 'encoded' })
      expect(clip.provenance?.because).toBeDefined()
      const numbers = await numbersIn(await clipFile(engines, clip, at('damaged.mp4')))
      expect(numbers).toHaveLength(clip.frames ?? 0)
      expect(numbers[0]).toBe(38)
    }
  })

  test('ffmpeg stopped by its limits is a clip that failed, in words that hold no path', async () => {
    const narrow = await makeFfmpeg({ log: engines.log, scratch: engines.scratch, limits: { outputBytes: 20_000 } })
    const clip = await cutNow({ ...engines, ffmpeg: narrow }, person, usual, [1.5, 4.3])
    expect(clip).toMatchObject({ state: 'failed', failure: expect.stringContaining('can be downloaded') })
    expect(clip.failure).not.toContain('/')
  })

  test('a camera held upright: the clip is shown as the recording is', async () => {
    await ffmpeg('-i', at('usual.mp4'), '-c', 'copy', '-metadata:s:v', 'rotate=90', at('upright.mp4'))
    const clip = await cutNow(engines, person, await recorded(engines, at('upright.mp4')), [1.5, 4.3])
    const file = await clipFile(engines, clip, at('turned.mp4'))
    const one = ['-frames:v', '1', '-update', '1']
    await ffmpeg('-i', file, ...one, at('clip.png'))
    await ffmpeg('-ss', '1.52', '-i', at('upright.mp4'), ...one, at('original.png'))
    const sizeOf = async (image: string) => (await ffprobe(image, '-show_entries', 'stream=width,height')).streams
    expect(await sizeOf(at('clip.png'))).toEqual(await sizeOf(at('original.png')))
    expect(clip.method).toBe('copied-middle')
  })
})
