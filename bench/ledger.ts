import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import type { Engines } from '../src/engines/engines.ts'
import { inTransaction } from '../src/engines/postgres.ts'
import { sealEntry } from '../src/ledger/entry.ts'
import { beginLog } from '../src/ledger/log/log.ts'
import { proofOf } from '../src/ledger/log/proofs.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { record } from '../src/ledger/record.ts'
import { anAct } from './append.ts'
import { install } from './installation.ts'
import { contender, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const rounds = 3
const backlog = 50_000
const wanted = 5000
const step = 2000
const looks = 40
const wantedSeconds = 2
const settleMs = 5000

/** Real entries, many at once. */
const writeMany = async ({ db, clock }: Engines, count: number): Promise<void> => {
  for (let done = 0; done < count; done += step) {
    const made = Array.from({ length: Math.min(step, count - done) }, () => sealEntry(anAct, clock))
    await inTransaction(db, async (tx) => {
      await tx
        .insertInto('entries')
        .values(made.map(({ id, leaf }) => ({ id, leaf })))
        .execute()
      await tx
        .insertInto('entryBodies')
        .values(made.map(({ id, entry, salt, parts }) => ({ id, entry, salt, parts: JSON.stringify(parts) })))
        .execute()
    })
  }
}

export const analyzed = async (stack: Stack, database: string): Promise<void> => {
  const admin = new Client({ connectionString: stack.engines.postgres.adminUrl(database) })
  await admin.connect()
  await admin.query('vacuum analyze entries, entry_bodies, leaves, unsequenced')
  await admin.end()
}

/** How long after its commit an entry is under a checkpoint, by a worker that has nothing else to do. */
const untilProven = async (engines: Engines): Promise<number> => {
  // At any moment of the interval in which a worker looks.
  await delay(Math.random() * 2000)
  const entry = await inTransaction(engines.db, async (tx) => await record(tx, engines.clock, anAct))
  const began = performance.now()
  while (!('proof' in (await proofOf(engines, entry)))) await delay(10)
  return (performance.now() - began) / 1000
}

/** A backlog, as after an hour in which the store refused to write. */
export const sequencing = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false })
  const { engines } = installation
  await beginLog(engines)
  await sequence(engines)
  const ours = contender(async () => {
    await writeMany(engines, backlog)
    const began = performance.now()
    const done = await sequence(engines)
    if (done < backlog) throw new Error(`of ${backlog} entries ${done} were sequenced`)
    return done / ((performance.now() - began) / 1000)
  })
  for (let round = 0; round < rounds; round++) await ours.take()
  const calm = contender(async () => await untilProven(engines))
  const worker = stack.start(new URL('../workers/main.ts', import.meta.url), installation.environment)
  await delay(settleMs)
  for (let round = 0; round < looks; round++) await calm.take()
  await worker.stop()
  return {
    results: [
      {
        what: `sequencing a backlog of ${backlog.toLocaleString('en')} entries, tiles stored and checkpoints signed`,
        against: `${wanted.toLocaleString('en')} entries a second`,
        ratio: ratioOf(
          ours.samples,
          ours.samples.map(() => wanted),
        ),
        target: { atLeast: 1 },
        ours: inWords(spreadOf(ours.samples), 'a second'),
        theirs: `${wanted.toLocaleString('en')} a second`,
      },
      {
        what: `an entry is committed → a checkpoint proves it, the longest of ${looks}`,
        against: `${wantedSeconds} s`,
        ratio: ratioOf([Math.max(...calm.samples)], [wantedSeconds]),
        target: { atMost: 1 },
        ours: inWords(spreadOf(calm.samples), 's', 2),
        theirs: `${wantedSeconds} s`,
      },
    ],
    how: ['One worker; the store and Postgres share the two cores with it.'],
  }
}
