import { execFile } from 'node:child_process'
import { linkSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RecordingId } from '../src/base/ids.ts'
import { copyName } from '../src/custody/take.ts'
import { sendWhole, untilIdle, untilRendition } from './arrival.ts'
import { ffmpeg } from './footage.ts'
import { type Installation, install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const run = promisify(execFile)
const rounds = 3
const seconds = 60

const makeSource = async (folder: string): Promise<string> => {
  const file = join(folder, 'mpeg4.avi')
  const picture = `testsrc2=s=1280x720:r=25:d=${seconds},noise=alls=8:allf=t`
  await ffmpeg(
    ...['-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', `sine=d=${seconds}`],
    ...['-c:v', 'mpeg4', '-b:v', '4M', '-c:a', 'pcm_s16le', file],
  )
  return file
}

const wordsOf = async ({ engines }: Installation, recording: RecordingId): Promise<string[]> => {
  const { arguments: words } = await engines.db
    .selectFrom('renditions')
    .select('arguments')
    .where('recording', '=', recording)
    .where('kind', '=', 'hls')
    .executeTakeFirstOrThrow()
  const [first] = words
  if (first === undefined) throw new Error('a rendition without its arguments')
  return first
}

/** A rendition encoded anew by the worker, stored and noted, against the very words of its record run alone. */
export const transcode = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: true })
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const source = await makeSource(stack.folder)
  let words: string[] = []
  const ours = contender(async () => {
    const recording = await sendWhole(installation, dock, source)
    await untilRendition(installation, recording, 'hls', 'working')
    const began = performance.now()
    await untilRendition(installation, recording, 'hls', 'ready')
    const took = (performance.now() - began) / 1000
    words = await wordsOf(installation, recording)
    await untilIdle(installation)
    return took
  })
  const alone = contender(async () => {
    const folder = join(stack.folder, 'alone')
    mkdirSync(folder)
    linkSync(source, join(folder, copyName))
    const began = performance.now()
    await run('ffmpeg', words, { cwd: folder })
    const took = (performance.now() - began) / 1000
    rmSync(folder, { recursive: true })
    return took
  })
  await inTurn(1, [ours])
  ours.samples.length = 0
  await inTurn(rounds, [ours, alone])
  return {
    results: [
      {
        what: 'speed of a transcode, from its begin until it is stored and noted',
        against: 'ffmpeg alone with the words of its record',
        ratio: ratioOf(alone.samples, ours.samples),
        target: { atLeast: 0.95 },
        ours: inWords(spreadOf(ours.samples), 's', 1),
        theirs: inWords(spreadOf(alone.samples), 's', 1),
      },
    ],
    how: [`${seconds} s of 720p MPEG-4 part 2 with PCM, to H.264 and AAC in pieces of six seconds.`],
  }
}
