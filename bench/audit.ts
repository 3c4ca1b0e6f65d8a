import { auditLedger } from '../src/ledger/audit/audit.ts'
import { beginLog } from '../src/ledger/log/log.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { manyEntries } from '../test/many-entries.ts'
import { install } from './installation.ts'
import { analyzed } from './ledger.ts'
import { contender, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Result, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const rounds = 3
const few = 100_000
const many = 1_000_000
/** Making them takes twenty minutes, so they are audited once. */
const most = 10_000_000
const wantedSeconds = 60

/** The whole log, recomputed from the database and from the store, at three sizes. */
export const audit = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false })
  const { engines, environment } = installation
  await beginLog(engines)
  const growTo = async (size: number, from: number): Promise<void> => {
    for (let at = from; at < size; at += 100_000) {
      await manyEntries(engines.db, Math.min(100_000, size - at))
      await sequence(engines)
    }
    await analyzed(stack, new URL(environment.DATABASE_URL ?? '').pathname.slice(1))
  }
  const run = (size: number) =>
    contender(async () => {
      const began = performance.now()
      const report = await auditLedger(engines)
      const seconds = (performance.now() - began) / 1000
      if (!report.ok || (report.logs[0]?.leaves ?? 0) < size) throw new Error('the audit found what is not there')
      return seconds
    })
  const [small, large, largest] = [run(few), run(many), run(most)]
  await growTo(few, 0)
  for (let round = 0; round < rounds; round++) await small.take()
  await growTo(many, few)
  for (let round = 0; round < rounds; round++) await large.take()
  await growTo(most, many)
  await largest.take()
  const perEntry = (samples: number[], size: number) => samples.map((seconds) => (seconds * 1e6) / size)
  const each = perEntry(small.samples, few)
  const growth = (samples: number[], size: number): Result => ({
    what: `audit for each of ${size.toLocaleString('en')} entries`,
    against: `each of ${few.toLocaleString('en')}`,
    ratio: ratioOf(samples, each),
    target: null,
    ours: inWords(spreadOf(samples), 'µs', 1),
    theirs: inWords(spreadOf(each), 'µs', 1),
  })
  return {
    results: [
      {
        what: `audit of ${many.toLocaleString('en')} entries`,
        against: `${wantedSeconds} s`,
        ratio: ratioOf(
          large.samples,
          large.samples.map(() => wantedSeconds),
        ),
        target: { atMost: 1 },
        ours: inWords(spreadOf(large.samples), 's', 1),
        theirs: `${wantedSeconds} s`,
      },
      growth(perEntry(large.samples, many), many),
      growth(perEntry(largest.samples, most), most),
    ],
    how: [
      'Every entry with its body, one sealed part, its leaf, every tile and every checkpoint, while the store and Postgres share the two cores. What is read grows with the log and nothing is kept of it.',
    ],
  }
}
