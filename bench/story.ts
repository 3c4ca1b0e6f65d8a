import { readStory } from '../src/continuity/actions.ts'
import { beginLog } from '../src/ledger/log/log.ts'
import { numberEntries } from '../src/ledger/log/queries.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { manyEntries } from '../test/many-entries.ts'
import { someone, takeIn } from './arrival.ts'
import { ffmpeg } from './footage.ts'
import { install } from './installation.ts'
import { analyzed } from './ledger.ts'
import { ratioOf, spreadOf } from './measure.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const rounds = 3
const readings = 60
const few = 100_000
const many = 10_000_000
const atOnce = 100_000

const nearlyAll = (values: number[]): number =>
  values.toSorted((one, other) => one - other)[Math.ceil(values.length * 0.95) - 1] ?? Number.NaN

/** One recording's story, read by a supervisor, among few entries about others and among many. */
export const story = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false })
  const { engines, environment } = installation
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  await beginLog(engines)
  const file = `${stack.folder}/story.mp4`
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=5:d=2', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', file)
  const id = await takeIn(installation, dock, file)
  const reader = await someone(engines, 'supervisor')

  const read = async (): Promise<number> => {
    const began = performance.now()
    await readStory(engines, reader, { type: 'recording', id }, { limit: 50 })
    return performance.now() - began
  }
  // Reading adds to what is read, up to what one answer holds.
  for (let n = 0; n < 60; n++) await read()
  await sequence(engines)
  const round = async (): Promise<number> => {
    const times: number[] = []
    for (let n = 0; n < readings; n++) times.push(await read())
    return nearlyAll(times)
  }
  const among = async (size: number, from: number): Promise<number[]> => {
    for (let at = from; at < size; at += atOnce) {
      await manyEntries(engines.db, atOnce)
      // They become leaves, but no tiles: those are the store's, which a story does not read.
      while ((await numberEntries(engines.db, atOnce)) > 0);
    }
    await analyzed(stack, new URL(environment.DATABASE_URL ?? '').pathname.slice(1))
    const taken: number[] = []
    for (let n = 0; n < rounds; n++) taken.push(await round())
    return taken
  }
  const small = await among(few, 0)
  const large = await among(many, few)
  return {
    results: [
      {
        what: `one recording's story among ${many.toLocaleString('en')} entries, 95 of 100 readings`,
        against: `the same among ${few.toLocaleString('en')}`,
        ratio: ratioOf(large, small),
        target: { atMost: 1.5 },
        ours: inWords(spreadOf(large), 'ms', 1),
        theirs: inWords(spreadOf(small), 'ms', 1),
      },
    ],
    how: [
      'A page of 50 acts with their places in the log; each reading is an entry of its own, committed first. The others are real entries and leaves of the log that nothing was published of.',
    ],
  }
}
