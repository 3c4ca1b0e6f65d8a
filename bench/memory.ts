import { setTimeout as delay } from 'node:timers/promises'
import { type BenchDock, type Installation, install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { forgetPeak, peakOf, residentOf } from './proc.ts'
import { inWords, type Result, type Row } from './result.ts'
import type { Stack } from './stack.ts'
import { perform } from './task.ts'

const mib = 1024 * 1024
const rounds = 3

type Sample = { rate: number; grown: number }

/** Files as cameras make them, none as long as another: about `fileMiB` each. */
const sizesOf = (files: number, fileMiB: number): number[] =>
  Array.from({ length: files }, (_, index) => Math.floor(fileMiB * mib * (0.75 + ((index * 0.618_034) % 1) / 2)))

const measure = async (
  stack: Stack,
  installation: Installation,
  docks: BenchDock[],
  idle: number,
  { atOnce, files, fileMiB }: { atOnce: number; files: number; fileMiB: number },
): Promise<Sample> => {
  const { pid } = installation.api
  const sizes = sizesOf(files, fileMiB)
  const tokens = await Promise.all(docks.map((dock) => dock.token()))
  forgetPeak(pid)
  const endpoint = `${installation.url}/api/v1/uploads`
  const { seconds } = await perform(stack.sender, {
    kind: 'tus',
    endpoint,
    tokens,
    chunk: 32 * mib,
    begun: true,
    sizes,
    atOnce,
  })
  const grown = (peakOf(pid) - idle) / mib
  await installation.clear()
  return { rate: sizes.reduce((sum, size) => sum + size, 0) / mib / seconds, grown }
}

/** What the api needs in memory while many send at once. */
export const memory = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false })
  const docks = await installation.docks(64)
  const budget = installation.engines.config.INGEST_BUDGET_MIB
  await delay(2000)
  const idle = residentOf(installation.api.pid)
  const runs = (run: { atOnce: number; files: number; fileMiB: number }) =>
    contender(async () => await measure(stack, installation, docks, idle, run))
  const one = runs({ atOnce: 1, files: 1, fileMiB: 384 })
  const eight = runs({ atOnce: 8, files: 384, fileMiB: 2.5 })
  const many = runs({ atOnce: 64, files: 64, fileMiB: 32 })
  const most = runs({ atOnce: 512, files: 512, fileMiB: 2.5 })
  await inTurn(rounds, [one, eight, many, most])

  const grown = (what: string, samples: Sample[]): Result => ({
    what: `most memory of the api over idle, ${what} at once`,
    against: `the ingest budget, ${budget} MiB`,
    ratio: spreadOf(samples.map((sample) => sample.grown / budget)),
    target: { never: 1.25 },
    ours: inWords(spreadOf(samples.map((sample) => sample.grown)), 'MiB'),
    theirs: `${budget} MiB`,
  })
  const rates = (samples: Sample[]) => samples.map(({ rate }) => rate)
  return {
    results: [
      grown('1 upload', one.samples),
      grown('64 uploads', many.samples),
      grown('512 uploads', most.samples),
      {
        what: 'throughput, 512 uploads at once',
        against: '8 at once',
        ratio: ratioOf(rates(most.samples), rates(eight.samples)),
        target: { atLeast: 0.8 },
        ours: inWords(spreadOf(rates(most.samples)), 'MiB/s'),
        theirs: inWords(spreadOf(rates(eight.samples)), 'MiB/s'),
      },
    ],
    how: [
      `Idle is the api before its first upload: ${Math.round(idle / mib)} MiB resident. The peak is the kernel’s own (VmHWM), so that none is missed; what the api keeps between runs counts.`,
      'Sixty-four docks, files of uneven length in PATCHes of up to 32 MiB: 1 file of 384 MiB, 64 of about 32 MiB, 512 of about 2.5 MiB; for the throughput at 8, files of about 2.5 MiB too. Larger ones at 512 fill the memory that the kernel has for TCP, which on one machine holds both ends.',
    ],
  }
}
