import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { ClipId, RecordingId } from '../src/base/ids.ts'
import { requestClip } from '../src/clips/actions.ts'
import { cutClip } from '../src/clips/cut.ts'
import { clipById } from '../src/clips/queries.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { Person } from '../src/people/person.ts'
import { runOf, someone, takeIn } from './arrival.ts'
import { ffmpeg, makeFootage } from './footage.ts'
import { install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Result, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const rounds = 3
const length = 30
/** Off every key frame. */
const startIn = (minutes: number): number => minutes * 60 * 0.4 + 1.3

type Source = { recording: RecordingId; file: string; minutes: number }

type Cut = { seconds: number; read: number; made: number }

const cutOne = async (engines: Engines, person: Person, { recording, minutes }: Source): Promise<Cut> => {
  const start = startIn(minutes)
  const asked = { start, end: start + length, title: 'Bench', reason: 'Bench' }
  const { id }: { id: ClipId } = await requestClip(engines, person, recording, asked)
  const began = performance.now()
  await cutClip(engines, id, runOf())
  const seconds = (performance.now() - began) / 1000
  const clip = await clipById(engines.db, id)
  if (clip?.state !== 'ready' || clip.provenance === null) throw new Error(`the clip was not cut: ${clip?.failure}`)
  return { seconds, read: clip.provenance.source.bytesRead, made: clip.size ?? Number.NaN }
}

/** The same range of the local file, encoded anew with the settings that our own edges have. */
const encodeAlone = async (folder: string, { file, minutes }: Source): Promise<number> => {
  const began = performance.now()
  await ffmpeg(
    ...['-ss', String(startIn(minutes)), '-i', file, '-t', String(length)],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '18', '-c:a', 'aac', join(folder, 'alone.mp4')],
  )
  return (performance.now() - began) / 1000
}

/** Exact clips: against ffmpeg encoding the same range anew, and of long recordings against short ones. */
export const clip = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false, settings: { CLIPS_OWED: '1000' } })
  const { engines } = installation
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const person = await someone(engines, 'investigator')
  const smaller = { size: '1280x720', rate: 2.5 }
  const from = async (minutes: number, kind?: Parameters<typeof makeFootage>[2]): Promise<Source> => {
    const file = await makeFootage(stack.folder, minutes, kind)
    return { recording: await takeIn(installation, dock, file), file, minutes }
  }
  const usual = await from(30)
  const other = await from(10, { ...smaller, codec: 'libx265' })
  const short = await from(10, smaller)
  const long = await from(240, smaller)

  const cutting = (source: Source) => contender(async () => await cutOne(engines, person, source))
  const alone = (source: Source) => contender(async () => await encodeAlone(stack.folder, source))
  const ours = { usual: cutting(usual), other: cutting(other), short: cutting(short), long: cutting(long) }
  const theirs = { usual: alone(usual), other: alone(other) }
  await inTurn(rounds, [ours.usual, theirs.usual, ours.other, theirs.other, ours.short, ours.long])

  const seconds = (cuts: Cut[]) => cuts.map((cut) => cut.seconds)
  const result = (what: string, against: string, [over, under]: [number[], number[]], atMost: number): Result => ({
    what,
    against,
    ratio: ratioOf(over, under),
    target: { atMost },
    ours: inWords(spreadOf(over), 's', 2),
    theirs: inWords(spreadOf(under), 's', 2),
  })
  const megabytes = (values: number[]) => inWords(spreadOf(values.map((value) => value / 1e6)), 'MB', 1)
  const [read, made] = [ours.long.samples.map((cut) => cut.read), ours.long.samples.map((cut) => cut.made)]
  const peer = 'ffmpeg encoding the same range anew from the local file'
  return {
    results: [
      result(
        `${length} s out of 30 min of H.264 in S3`,
        peer,
        [seconds(ours.usual.samples), theirs.usual.samples],
        0.35,
      ),
      result(`${length} s out of 10 min of HEVC in S3`, peer, [seconds(ours.other.samples), theirs.other.samples], 1.1),
      result(
        `${length} s out of 4 h`,
        'the same out of 10 min',
        [seconds(ours.long.samples), seconds(ours.short.samples)],
        1.3,
      ),
      {
        what: `bytes read from S3 for ${length} s out of 4 h`,
        against: 'bytes of the clip',
        ratio: ratioOf(read, made),
        target: { atMost: 3 },
        ours: megabytes(read),
        theirs: megabytes(made),
      },
    ],
    how: [
      `From the begin of the job until the clip is checked and published. 30 min: 1080p at 5 Mbit/s; the others 720p at 2.5 Mbit/s (4 h: ${(statSync(long.file).size / 1e9).toFixed(1)} GB). The range begins off every key frame.`,
      'Where the time of the HEVC clip goes (seen beside other work, in proportion): encoding it takes no longer than the peer; the rest is its proof, for which every frame and all of the sound is decoded once more, and the way into the store and back.',
    ],
  }
}
