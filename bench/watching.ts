import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Value } from 'typebox/value'
import type { RecordingId } from '../src/base/ids.ts'
import { issueToken } from '../src/engines/embedded/issue-token.ts'
import { ViewingOpened } from '../src/viewings/schemas.ts'
import { sendWhole, untilIdle } from './arrival.ts'
import { ffmpeg } from './footage.ts'
import { type Installation, install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { forgetFiles, startNginx } from './nginx.ts'
import { objectAt, presigned } from './presigned.ts'
import { forgetPeak, peakOf } from './proc.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'
import { makeWatchable, segmentSeconds, type Watchable } from './watchable.ts'
import { fetchAll, watchAtEase } from './watchers.ts'

const mib = 1024 * 1024
const rounds = 5
const viewers = 200
const few = 20
const segments = 3
/** What opening so many viewings leaves to do, entries into the log among it, is over by then. */
const settleMs = 3000
/** Six seconds at 5 Mbit/s. */
const bytes = Math.round((segmentSeconds * 5e6) / 8)

const openViewing = async (url: string, token: string, recording: RecordingId): Promise<string> => {
  const answer = await fetch(`${url}/api/v1/recordings/${recording}/viewings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'Bench' }),
  })
  const said: unknown = await answer.json()
  if (!Value.Check(ViewingOpened, said)) throw new Error(`no viewing: ${JSON.stringify(said)}`)
  return said.playlistUrl.replace('playlist.m3u8', 'hls/')
}

/** A new viewing of each: the addresses of its segments. */
const openAll = async (stack: Stack, { url }: Installation, watchable: Watchable[]): Promise<string[][]> => {
  const token = await issueToken({ issuer: stack.engines.identityProvider.issuer, role: 'investigator' })
  const opened: string[][] = []
  for (const { recording, pieces } of watchable) {
    const base = await openViewing(url, token, recording)
    opened.push(pieces.map((name) => base + name))
  }
  return opened
}

/** The first of each viewer, then the second of each, and so on. */
const byTurns = (opened: string[][]): string[] =>
  Array.from({ length: segments }, (_, turn) => opened.flatMap((urls) => urls[turn] ?? [])).flat()

const example = async (stack: Stack, installation: Installation): Promise<RecordingId> => {
  const file = join(stack.folder, 'example.mp4')
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=18', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', file)
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const recording = await sendWhole(installation, dock, file)
  await untilIdle(installation)
  return recording
}

const percentile = (values: number[], part: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * part)] ?? Number.NaN

/** Many watch at once, each another recording: how fast, how soon, in how much memory, and what writing it down costs. */
export const watching = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: true, settings: { VIEWINGS_OPEN: '10000' } })
  const { pid } = installation.api
  const root = join(stack.folder, 'static')
  const size = { recordings: viewers, segments, bytes }
  const watchable = await makeWatchable(installation, await example(stack, installation), root, size)
  await using nginx = await startNginx(stack.folder, root, await stack.port())
  const rate = (count: number, seconds: number) => (count * segments * bytes) / mib / seconds
  const fast = async (urls: string[][]) => rate(viewers, await fetchAll(stack.folder, byTurns(urls), viewers))
  const files = watchable.map(({ recording, pieces }) => pieces.map((name) => `${nginx.url}/${recording}/${name}`))

  const ours = contender(async () => {
    const opened = await openAll(stack, installation, watchable)
    forgetPeak(pid)
    const reached = await fast(opened)
    return { rate: reached, memory: peakOf(pid) / mib }
  })
  // Of two readings just after one another, the one finds its ranges written down already; each comes first in turn.
  const cost = contender(async () => {
    const round = cost.samples.length
    const seen = await openAll(stack, installation, watchable)
    const unseen = await openAll(stack, installation, watchable)
    await delay(settleMs)
    await fast(seen)
    if (round % 2 === 0) {
      const writing = await fast(unseen)
      return { writing, without: await fast(seen) }
    }
    const without = await fast(seen)
    return { writing: await fast(unseen), without }
  })
  const alone = contender(
    async () =>
      await fast(
        watchable.map(({ keys }) => keys.map((key) => presigned(objectAt(stack, installation, 'derived', key)))),
      ),
  )
  const some = contender(async () => {
    const opened = byTurns(await openAll(stack, installation, watchable.slice(0, few)))
    forgetPeak(pid)
    await fetchAll(stack.folder, opened, few)
    return peakOf(pid) / mib
  })
  const fromDisk = contender(async () => {
    await forgetFiles(root)
    return await fast(files)
  })
  const theirs = contender(async () => await fast(files))
  const atEase = contender(async () =>
    percentile(await watchAtEase(await openAll(stack, installation, watchable), segmentSeconds), 0.99),
  )
  await inTurn(rounds, [ours, cost, some, fromDisk, theirs, alone, atEase])

  const rates = ours.samples.map((sample) => sample.rate)
  const writing = cost.samples.map((sample) => sample.writing)
  const without = cost.samples.map((sample) => sample.without)
  const memory = ours.samples.map((sample) => sample.memory)
  return {
    results: [
      {
        what: `throughput, ${viewers} viewers as fast as they can`,
        against: 'nginx with the same segments from disk',
        ratio: ratioOf(rates, fromDisk.samples),
        target: { atLeast: 0.5 },
        ours: inWords(spreadOf(rates), 'MiB/s'),
        theirs: inWords(spreadOf(fromDisk.samples), 'MiB/s'),
      },
      {
        what: `throughput, ${viewers} viewers as fast as they can`,
        against: 'nginx with the same segments out of the page cache',
        ratio: ratioOf(rates, theirs.samples),
        target: { atLeast: 0.5 },
        ours: inWords(spreadOf(rates), 'MiB/s'),
        theirs: inWords(spreadOf(theirs.samples), 'MiB/s'),
      },
      {
        what: `throughput, ${viewers} viewers as fast as they can`,
        against: 'the store alone, asked for the same segments without the api',
        ratio: ratioOf(rates, alone.samples),
        target: null,
        ours: inWords(spreadOf(rates), 'MiB/s'),
        theirs: inWords(spreadOf(alone.samples), 'MiB/s'),
      },
      {
        what: 'the store alone, with no api before it',
        against: 'nginx with the same segments from disk',
        ratio: ratioOf(alone.samples, fromDisk.samples),
        target: null,
        ours: inWords(spreadOf(alone.samples), 'MiB/s'),
        theirs: inWords(spreadOf(fromDisk.samples), 'MiB/s'),
      },
      {
        what: `99 of 100 segments of ${segmentSeconds} s, ${viewers} viewers at the speed of life`,
        against: 'one second',
        ratio: spreadOf(atEase.samples),
        target: { atMost: 1 },
        ours: inWords(spreadOf(atEase.samples), 's', 3),
        theirs: '1 s',
      },
      {
        what: `most memory of the api, ${viewers} viewers`,
        against: `${few} viewers`,
        ratio: ratioOf(memory, some.samples),
        target: { atMost: 1.25 },
        ours: inWords(spreadOf(memory), 'MiB'),
        theirs: inWords(spreadOf(some.samples), 'MiB'),
      },
      {
        what: 'throughput with watched ranges being written',
        against: 'the same segments when nothing is left to write',
        ratio: ratioOf(writing, without),
        target: { atLeast: 0.95 },
        ours: inWords(spreadOf(writing), 'MiB/s'),
        theirs: inWords(spreadOf(without), 'MiB/s'),
      },
    ],
    how: [
      `${viewers} recordings, ${segments} segments each of ${(bytes / mib).toFixed(1)} MiB (6 s at 5 Mbit/s), one api process. As fast as they can: one \`curl --parallel\` for all. At the speed of life: a segment every 6 s for each, begun spread over the first 6 s.`,
      'The viewers, the api, the store and Postgres share the two cores; nginx shares them with the viewers alone. From disk: the kernel was made to forget the files before each round, as the store too reads from the disk and past the page cache. The store alone is what any api on the same two cores has above it.',
    ],
  }
}
