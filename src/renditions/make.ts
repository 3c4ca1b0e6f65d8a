import { readdir, readFile, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { hex, sha256 } from '../base/digest.ts'
import { newId, type RenditionId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { type FfmpegWork, recordedWords } from '../engines/ffmpeg-arguments.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import { inTransaction } from '../engines/postgres.ts'
import { ScratchFull } from '../engines/scratch.ts'
import type {
  RecordingRow,
  RenditionFacts,
  RenditionKind,
  RenditionObjectRow,
  RenditionRow,
} from '../engines/tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import { record } from '../ledger/record.ts'
import {
  hlsWork,
  initName,
  playlistName,
  posterName,
  posterWork,
  proxyWork,
  type Source,
  sheet,
  sheetName,
  soundWork,
  storyboardInterval,
  storyboardWork,
  thumbnailName,
} from './commands.ts'
import { clearAway } from './leftovers.ts'
import { type Packets, withSoundApart } from './packets.ts'
import { isEnded, piecesIn } from './pieces.ts'
import { frameSeconds, longest, type Plan } from './plan.ts'
import {
  beginBeside,
  insertObjects,
  keepOld,
  markFailed,
  markReady,
  noteProgress,
  oweEncoded,
  refuseGivenUp,
  renditionsOf,
  replace,
  secondsShown,
  takePlace,
} from './queries.ts'
import { type Piece, storing } from './storing.ts'
import { SoundHole, timed } from './timing.ts'

export type Job = Pick<Run, 'jobId' | 'attempt' | 'cause' | 'signal' | 'progress' | 'fence'>

/** A recording at hand: its row, the copy of its original, what of it is shown, and what its packets say. */
export type Subject = { recording: RecordingRow; source: Source; plan: Plan; packets: Packets }

/** One rendition being made, what was stored of it, and the ffmpeg runs it took. */
type Making = Subject & {
  engines: Engines
  run: Job
  id: RenditionId
  kind: RenditionKind
  /** The one that is watched until this one, of which nothing is seen before, takes its place. */
  old: RenditionRow | undefined
  objects: RenditionObjectRow[]
  works: FfmpegWork[]
  /** Whether the disk was seen full while ffmpeg ran: by the time it has ended, what waited is stored, and there is room. */
  full: boolean
}

const lookEveryMs = 40
const noteEveryMs = 1000

const durationOf = ({ recording }: Subject): number => Math.min(longest, recording.duration ?? 0)
const quickSeconds = ({ recording }: Subject): number => 120 + recording.size / 10e6
const slowSeconds = (subject: Subject): number => Math.min(longest, 300 + durationOf(subject) * 15)

const place = ({ engines, recording, source, id, old, objects }: Making) => ({
  engines,
  folder: source.folder,
  recording: recording.id,
  rendition: id,
  catalogue: async (more: RenditionObjectRow[]) => {
    if (old === undefined) await insertObjects(engines.db, more)
    else await refuseGivenUp(engines.db, recording.id, id)
    objects.push(...more)
  },
})

/** Stores pictures, in this order. */
const storePictures = async (making: Making, pictures: Omit<Piece, 'number'>[]): Promise<void> => {
  const { add, settled } = storing(place(making))
  try {
    for (const [number, picture] of pictures.entries()) await add({ ...picture, number })
  } finally {
    // Nothing is on its way any more, and the store keeps nothing that is not catalogued, however this ends.
    await settled()
  }
}

/** Looks at the disk until ffmpeg has ended, and once more. */
const watchDisk = async (making: Making, ended: AbortSignal): Promise<void> => {
  for (;;) {
    const isLast = ended.aborted
    if (!(await making.engines.scratch.hasRoomFor(0))) making.full = true
    if (isLast || making.full) return
    await delay(lookEveryMs, undefined, { signal: ended }).catch(() => undefined)
  }
}

const ffmpeg = async (
  making: Making,
  work: FfmpegWork,
  seconds: number,
  { signal = making.run.signal, isAll = true }: { signal?: AbortSignal; isAll?: boolean } = {},
): Promise<void> => {
  const { engines, run, id, old } = making
  making.works.push(work)
  let noted = performance.now()
  const onProgress = (made: number) => {
    if (!isAll) return
    const fraction = Math.min(0.99, made / Math.max(durationOf(making), made, 0.1))
    run.progress(fraction)
    if (performance.now() - noted < noteEveryMs) return
    noted = performance.now()
    noteProgress(engines.db, old?.id ?? id, fraction).catch(() => undefined)
  }
  const ended = new AbortController()
  const watching = watchDisk(making, ended.signal)
  // Where it fails, that is for the end of ffmpeg to wait for.
  watching.catch(() => undefined)
  try {
    await engines.ffmpeg.run(work, { signal, seconds, onProgress })
  } finally {
    ended.abort()
    await watching
  }
}

/** What is made anew may end by so many seconds before the footage does: a last picture is rounded, and sound cut to size. */
const slackOf = ({ recording }: Subject): number => Math.max(0.1, 2 * frameSeconds(recording))

/** `copied`: of the original's own pictures. */
type Form = { kind: 'hls' | 'proxy'; work: FfmpegWork; seconds: number; copied: boolean }

/** Stores each piece as soon as it is whole, while the next ones are made. Answers what is to be known of what came out. */
const inPieces = async (making: Making, { kind, work, seconds, copied }: Form): Promise<RenditionFacts> => {
  const { source, plan, run } = making
  const sound = soundWork(source, plan, kind)
  if (sound !== undefined) await ffmpeg(making, sound, slowSeconds(making), { isAll: false })
  // What cannot be stored is made no further: it would only fill the disk.
  const stopped = new AbortController()
  const stop = (why: unknown) => stopped.abort(why)
  const { add, settled } = storing(place(making), stop)
  const pieces = timed(source.folder, { whole: sound !== undefined })
  let begun = 0
  const storeNew = async (): Promise<string | undefined> => {
    const playlist = await readFile(`${source.folder}/${playlistName}`, 'utf8').catch(() => undefined)
    const listed = piecesIn(playlist ?? '')
    for (const one of listed.slice(begun)) {
      const piece = await pieces.next(one, one === listed.at(-1) && isEnded(playlist ?? ''))
      if (begun === 0) await add({ number: 0, name: initName, start: 0, duration: 0 })
      begun += 1
      await add({ ...piece, number: begun })
    }
    return playlist
  }
  const ended = new AbortController()
  const signal = AbortSignal.any([run.signal, stopped.signal])
  const running = ffmpeg(making, work, seconds, { signal }).finally(() => ended.abort())
  // Whatever goes wrong while pieces are stored, ffmpeg has ended and nothing is on its way before this does.
  running.catch(() => undefined)
  try {
    while (!ended.signal.aborted) {
      await storeNew()
      await delay(lookEveryMs, undefined, { signal: ended.signal }).catch(() => undefined)
    }
    await running
    const playlist = await storeNew()
    // All that was left out of it would be missing in silence.
    if (playlist !== undefined && !isEnded(playlist))
      throw new FfmpegFailed('the playlist was cut off as it was written', 'machine', playlist)
  } catch (error) {
    stop(error)
    throw error
  } finally {
    await Promise.allSettled([running, settled()])
  }
  await settled()
  if (begun === 0) throw new FfmpegFailed('nothing to play came out', 'content', '')
  const facts = { ...pieces.size(), ...(sound === undefined ? {} : { soundApart: true as const }) }
  const missing = (making.packets.end ?? 0) - pieces.end()
  if (missing <= slackOf(making)) return facts
  // Encoding may get further. What that does not decode either is damaged, and no reason to show nothing.
  if (copied) throw new FfmpegFailed('its end did not come out', 'content', `${missing} seconds`)
  return { ...facts, shownTo: pieces.end() }
}

const poster = async (making: Making): Promise<RenditionFacts> => {
  const { source } = making
  for (const at of [Math.min(10, durationOf(making) / 10), 0]) {
    await ffmpeg(making, posterWork(source, at), quickSeconds(making))
    const made = (await readdir(source.folder)).includes(posterName)
    if (!made) continue
    const names = [posterName, thumbnailName]
    await storePictures(
      making,
      names.map((name) => ({ name, start: 0, duration: 0 })),
    )
    return {}
  }
  throw new FfmpegFailed('no picture came out', 'content', '')
}

const storyboard = async (making: Making): Promise<RenditionFacts> => {
  const { source } = making
  const duration = (await secondsShown(making.engines.db, making.recording.id)) ?? durationOf(making)
  const interval = storyboardInterval(duration)
  await ffmpeg(making, storyboardWork(source, interval), slowSeconds(making))
  const { width, height, columns, rows } = sheet
  const perSheet = columns * rows * interval
  const sheets = (await readdir(source.folder)).filter((name) => name.startsWith('sheet-')).length
  if (sheets === 0) throw new FfmpegFailed('no picture came out', 'content', '')
  const sheetAt = (_: unknown, index: number) => {
    const start = index * perSheet
    return { name: sheetName(index), start, duration: Math.max(0, Math.min(perSheet, duration - start)) }
  }
  await storePictures(making, Array.from({ length: sheets }, sheetAt))
  const pictures = Math.max(1, Math.min(sheets * columns * rows, Math.ceil(duration / interval)))
  return { interval, columns, rows, pictures, width, height }
}

const produce = async (making: Making, copyVideo: boolean): Promise<RenditionFacts> => {
  const { source, plan, kind } = making
  switch (kind) {
    case 'hls': {
      const seconds = copyVideo ? quickSeconds(making) : slowSeconds(making)
      const work = hlsWork(source, plan, copyVideo)
      const facts = await inPieces(making, { kind, work, seconds, copied: copyVideo })
      return { method: copyVideo ? 'remux' : 'transcode', ...facts }
    }
    case 'proxy': {
      const [work, seconds] = [proxyWork(source, plan), slowSeconds(making)]
      return { method: 'transcode', ...(await inPieces(making, { kind, work, seconds, copied: false })) }
    }
    case 'poster':
      return await poster(making)
    case 'storyboard':
      return await storyboard(making)
  }
}

const inWords = (error: FfmpegFailed): string =>
  error.blame === 'time'
    ? 'Making it took longer than this footage may take. The original is kept and can be downloaded.'
    : 'The footage holds something that cannot be made playable. The original is kept and can be downloaded.'

/** The row of one that is not whole yet. */
const rowOf = ({ engines, recording, id, kind }: Making) => {
  const { id: of, sha256: sourceSha256 } = recording
  if (sourceSha256 === null) throw new Error('only what is in custody is shown')
  return { id, recording: of, kind, state: 'working', sourceSha256, owedAt: engines.clock.now() } as const
}

/** Now it is all there; where it was made beside another, it is watched from now on, and the other's objects go. */
const finish = async (making: Making, facts: RenditionFacts): Promise<void> => {
  const { engines, recording, run, id, kind, old, objects, works } = making
  const tool = `ffmpeg ${engines.ffmpeg.version}`
  const digest = hex(sha256(Buffer.from(objects.map((object) => object.sha256).join(''), 'hex')))
  await inTransaction(engines.db, async (tx) => {
    await run.fence(tx)
    if (old !== undefined) await takePlace(tx, old.id, rowOf(making), objects)
    const ready = await markReady(tx, id, engines.clock.now(), {
      size: objects.reduce((sum, { size }) => sum + size, 0),
      sha256: digest,
      tool,
      arguments: works.map((work) => recordedWords(work, engines.ffmpeg.limits)),
      facts,
    })
    if (!ready) throw new Error('another rendition took the place of this one')
    await record(tx, engines.clock, {
      operation: 'administration',
      action: 'rendition.made',
      subject: { type: 'recording', id: recording.id },
      actor: {
        kind: 'service',
        id: 'renditions',
        job: run.jobId,
        ...(run.cause === null ? {} : { cause: run.cause }),
      },
      detail: { rendition: id, kind, tool, sha256: digest },
    })
  })
  if (old !== undefined) await clearAway(engines, recording.id, [old.id])
}

/** Where one of the kind is whole, another is made beside it; what is not whole makes way, and is watched as it grows. */
const begin = async (making: Omit<Making, 'old'>): Promise<Making> => {
  const { engines, recording, run, id, kind } = making
  const { begun, dead } = await inTransaction(engines.db, async (tx) => {
    await run.fence(tx)
    const there = (await renditionsOf(tx, recording.id)).find((row) => row.kind === kind)
    const begun = { ...making, old: there?.sha256 == null ? undefined : there }
    if (begun.old === undefined) await replace(tx, rowOf(begun))
    else await beginBeside(tx, recording.id, id)
    return { begun, dead: begun.old === undefined && there !== undefined ? [there.id] : [] }
  })
  await clearAway(engines, recording.id, dead)
  return begun
}

const giveUp = async (making: Making, error: FfmpegFailed, copyVideo: boolean): Promise<void> =>
  await inTransaction(making.engines.db, async (tx) => {
    const { engines, run, id, kind, old } = making
    await run.fence(tx)
    if (old !== undefined)
      await keepOld(tx, old.id, `It could not be made anew, and stays as it was. ${inWords(error)}`)
    else if (kind === 'hls' && copyVideo) await oweEncoded(tx, id)
    else await markFailed(tx, id, engines.clock.now(), inWords(error), { method: copyVideo ? 'remux' : 'transcode' })
  })

const makeOnce = async (
  engines: Engines,
  subject: Subject,
  kind: RenditionKind,
  copyVideo: boolean,
  run: Job,
): Promise<boolean> => {
  const id = newId<RenditionId>()
  const making = await begin({ ...subject, engines, run, id, kind, objects: [], works: [], full: false })
  const { recording, old } = making
  const { log } = engines
  try {
    await finish(making, await produce(making, copyVideo))
    return true
  } catch (error) {
    if (error instanceof SoundHole && old !== undefined) await clearAway(engines, recording.id, [id])
    if (!(error instanceof FfmpegFailed)) throw error
    // Where there is no room, what did not come out says nothing about the footage.
    const isFull = making.full || !(await engines.scratch.hasRoomFor(0))
    if (error.blame !== 'time' && isFull) throw new ScratchFull(undefined, error)
    if (error.blame === 'machine') throw error
    log.warn({ recording: recording.id, kind, because: error.message, detail: error.detail }, 'a rendition failed')
    await giveUp(making, error, copyVideo)
    if (old !== undefined) await clearAway(engines, recording.id, [id])
    return false
  } finally {
    for (const name of await readdir(making.source.folder)) {
      const path = `${making.source.folder}/${name}`
      if (path !== making.source.path) await rm(path, { recursive: true, force: true })
    }
  }
}

/**
 * Makes a rendition in place of the one of its kind: under an id of its own, so that of two attempts only one is ever whole.
 * One that is whole is watched until then, and stays if no other comes of it. Answers false when the footage does not let
 * itself be shown this way, which is noted in words.
 */
export const makeRendition = async (
  engines: Engines,
  subject: Subject,
  kind: RenditionKind,
  copyVideo: boolean,
  run: Job,
): Promise<boolean> => {
  try {
    return await makeOnce(engines, subject, kind, copyVideo, run)
  } catch (error) {
    if (!(error instanceof SoundHole)) throw error
    const plan = withSoundApart(subject.plan, subject.packets)
    return await makeOnce(engines, { ...subject, plan }, kind, copyVideo, run)
  }
}
