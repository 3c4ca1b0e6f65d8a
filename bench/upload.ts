import { setTimeout as delay } from 'node:timers/promises'
import { completeObject } from '../src/uploads/completion.ts'
import { type BenchDock, type Installation, install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { uploadIn } from './original.ts'
import { cpuSecondsOf } from './proc.ts'
import { inWords, type Result, type Row } from './result.ts'
import type { Stack, Started } from './stack.ts'
import { perform, type Task } from './task.ts'

const mib = 1024 * 1024
const chunk = 32 * mib

type Sample = { rate: number; cpuPerGiB: number }

const startPeer = async (stack: Stack, installation: Installation): Promise<Started & { endpoint: string }> => {
  const port = await stack.port()
  const { S3_DERIVED } = installation.engines.config
  const peer = stack.start(new URL('tus-peer.ts', import.meta.url), {
    ...installation.environment,
    PEER_BUCKET: S3_DERIVED,
    PEER_PORT: String(port),
  })
  const endpoint = `http://127.0.0.1:${port}/files`
  for (const limit = Date.now() + 30_000; ; await delay(50)) {
    const answers = await fetch(endpoint, { method: 'OPTIONS' }).then(
      () => true,
      () => false,
    )
    if (answers) return { ...peer, endpoint }
    if (Date.now() > limit) throw new Error('the peer did not start')
  }
}

const compare = async (
  stack: Stack,
  installation: Installation,
  peer: Started & { endpoint: string },
  docks: BenchDock[],
  { atOnce, fileMiB, rounds }: { atOnce: number; fileMiB: number; rounds: number },
): Promise<Result[]> => {
  const { engines } = installation
  const sizes = Array.from({ length: atOnce }, () => fileMiB * mib)
  const totalMiB = atOnce * fileMiB
  const measured = async (task: Task, server: Started | undefined, finish: (places: string[]) => Promise<void>) => {
    const before = server === undefined ? 0 : cpuSecondsOf(server.pid)
    const { seconds, places } = await perform(stack.sender, task)
    const cpu = server === undefined ? 0 : cpuSecondsOf(server.pid) - before
    const finishing = performance.now()
    await finish(places)
    const whole = seconds + (performance.now() - finishing) / 1000
    await installation.clear()
    return { rate: totalMiB / whole, cpuPerGiB: (cpu * 1024) / totalMiB }
  }
  const nothing = async () => undefined
  const byTus = async (endpoint: string): Promise<Task> => {
    const tokens = await Promise.all(docks.slice(0, atOnce).map((dock) => dock.token()))
    return { kind: 'tus', endpoint, tokens, chunk, begun: false, sizes, atOnce }
  }
  const bySdk = (partMiB: number, from: 'file' | 'memory') =>
    contender<Sample>(async () => {
      const { endpoint, region, accessKey, secretKey } = stack.engines.gateway
      const at = { endpoint, region, accessKey, secretKey, bucket: engines.config.S3_DERIVED, prefix: 'sdk/' }
      return await measured({ kind: 'sdk', ...at, partSize: partMiB * mib, from, sizes, atOnce }, undefined, nothing)
    })
  // With the object made of its parts, which is the worker's doing: the peers do it within their upload.
  const ours = contender<Sample>(async () =>
    measured(await byTus(`${installation.url}/api/v1/uploads`), installation.api, async (places) => {
      await Promise.all(places.map((place) => completeObject(engines, uploadIn(place))))
    }),
  )
  const tus = contender<Sample>(async () => measured(await byTus(peer.endpoint), peer, nothing))
  const sdks = [
    { words: '5 MiB parts', ...bySdk(5, 'file') },
    { words: '16 MiB parts', ...bySdk(16, 'file') },
  ]
  const memory = bySdk(16, 'memory')
  await inTurn(rounds, [ours, ...sdks, memory, tus])

  const rates = (samples: Sample[]) => samples.map(({ rate }) => rate)
  const cpus = (samples: Sample[]) => samples.map(({ cpuPerGiB }) => cpuPerGiB)
  const rateWords = (samples: Sample[]) => inWords(spreadOf(rates(samples)), 'MiB/s')
  const cpuWords = (samples: Sample[]) => inWords(spreadOf(cpus(samples)), 'CPU s/GiB', 2)
  const [sdk = { words: '', ...memory }] = sdks.toSorted(
    (left, right) => spreadOf(rates(right.samples)).median - spreadOf(rates(left.samples)).median,
  )
  const what = `upload, ${atOnce} dock${atOnce === 1 ? '' : 's'} of ${fileMiB} MiB`
  const throughput = (against: string, theirs: Sample[], target: Result['target']): Result => ({
    what,
    against,
    ratio: ratioOf(rates(ours.samples), rates(theirs)),
    target,
    ours: rateWords(ours.samples),
    theirs: rateWords(theirs),
  })
  return [
    throughput(`the AWS SDK's \`Upload\` of the file, ${sdk.words}`, sdk.samples, { atLeast: 1 }),
    throughput('the same, given the whole file in memory', memory.samples, null),
    throughput('`@tus/server` + `@tus/s3-store`', tus.samples, { atLeast: 2.2 }),
    {
      what: `api CPU, ${atOnce} dock${atOnce === 1 ? '' : 's'}`,
      against: '`@tus/server` + `@tus/s3-store`',
      ratio: ratioOf(cpus(ours.samples), cpus(tus.samples)),
      target: { atMost: 0.4 },
      ours: cpuWords(ours.samples),
      theirs: cpuWords(tus.samples),
    },
  ]
}

/** Bytes from a dock, through the api, into the store. */
export const upload = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false })
  const peer = await startPeer(stack, installation)
  try {
    const docks = await installation.docks(8)
    const one = await compare(stack, installation, peer, docks, { atOnce: 1, fileMiB: 384, rounds: 5 })
    const eight = await compare(stack, installation, peer, docks, { atOnce: 8, fileMiB: 96, rounds: 5 })
    return {
      results: [...one, ...eight],
      how: [
        'One sending process, apart from the api, plays all docks; each dock sends one file, a piece of a file that the kernel holds in memory.',
        'For ours and for `@tus/server` it is the same tus client: PATCHes of 32 MiB, each read once for its sha256 and once to send it, one after the other.',
        'The SDK reads a stream of the file (1 MiB at a time) and sends four parts at once, as it does by default; of two part sizes the faster counts. From memory it has no file to read, which no dock can do with a file of gigabytes.',
        'Ours checks every PATCH against the dock’s digest, and the store checks every part against a signed one; time includes making the object of its parts, which is the worker’s first step. No worker runs beside it.',
        'CPU is what the server’s process used, user and system, for each GiB that came in; the sender’s and the store’s are not in it.',
      ],
    }
  } finally {
    await peer.stop()
  }
}
