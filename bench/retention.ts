import { sql } from 'kysely'
import { newId, type PolicyId, type RecordingId } from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { Person } from '../src/people/person.ts'
import { runPurge } from '../src/retention/purge.ts'
import { readPurge, startPurge } from '../src/retention/purges.ts'
import { runOf, someone, takeIn } from './arrival.ts'
import { ffmpeg } from './footage.ts'
import { install } from './installation.ts'
import { contender, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const rounds = 3
const due = 10_000
const few = 20_000
const many = 1_000_000

const policies = async ({ clock, db }: Engines, [drafter, approver]: [Person, Person]): Promise<void> => {
  for (const [category, period] of [
    ['short', 'P31D'],
    ['long', 'P100Y'],
  ] as const) {
    const at = clock.now()
    const by = { draftedBy: drafter.id, draftedAt: at, approvedBy: approver.id, approvedAt: at }
    const policy = {
      category,
      version: 1,
      trigger: 'recorded',
      period,
      grace: 'P30D',
      sealed: [],
      state: 'approved',
    } as const
    await db
      .insertInto('policies')
      .values({ id: newId<PolicyId>(), ...policy, sealed: [], ...by })
      .execute()
  }
}

/** Rows like the example, of this category, recorded two months ago and before; their objects are not in the store. */
const grow = async ({ db }: Engines, example: RecordingId, category: string, count: number): Promise<void> => {
  const step = 50_000
  for (let done = 0; done < count; done += step) {
    await sql`
      with made as (
        select uuidv7() as upload, uuidv7() as id, n from generate_series(1, ${Math.min(step, count - done)}::int) as n
      ), sent as (
        insert into uploads
        select (jsonb_populate_record(null::uploads, to_jsonb(uploads) || jsonb_build_object('id', made.upload, 'recording', made.id))).*
        from uploads, made where uploads.recording = ${example}
        returning id
      )
      insert into recordings
      select (jsonb_populate_record(null::recordings, to_jsonb(recordings) || jsonb_build_object(
        'id', made.id, 'upload', made.upload, 'category', ${category}::text,
        'sha256', encode(sha256(made.id::text::bytea), 'hex'),
        'recorded_at', now() - interval '60 days' - made.n * interval '1 second',
        'corrected_at', now() - interval '60 days' - made.n * interval '1 second'))).*
      from recordings, made where recordings.id = ${example}`.execute(db)
  }
}

/** A purge that hides ten thousand, of few recordings and of many. */
export const retention = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false, settings: { PURGE_BRAKE: '1000000' } })
  const { engines } = installation
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const person = await someone(engines, 'retention')
  await policies(engines, [person, await someone(engines, 'retention')])
  const file = `${stack.folder}/example.mp4`
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=5:d=2', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', file)
  const example = await takeIn(installation, dock, file)

  const sweep = contender(async () => {
    await grow(engines, example, 'short', due)
    await sql`analyze recordings`.execute(engines.db).catch(() => undefined)
    const id = await startPurge(engines, person)
    const began = performance.now()
    await runPurge(engines, id, runOf())
    const seconds = (performance.now() - began) / 1000
    const { hidden, said } = await readPurge(engines, id)
    if (hidden !== due) throw new Error(`the purge hid ${hidden}: ${said}`)
    return seconds
  })
  await grow(engines, example, 'long', few - due)
  for (let round = 0; round < rounds; round++) await sweep.take()
  await grow(engines, example, 'long', many - few)
  for (let round = 0; round < rounds; round++) await sweep.take()
  const [small, large] = [sweep.samples.slice(0, rounds), sweep.samples.slice(rounds)]
  return {
    results: [
      {
        what: `purge that hides ${due.toLocaleString('en')} of ${many.toLocaleString('en')} recordings`,
        against: `the same of ${few.toLocaleString('en')}`,
        ratio: ratioOf(large, small),
        target: { atMost: 1.5 },
        ours: inWords(spreadOf(large), 's', 1),
        theirs: inWords(spreadOf(small), 's', 1),
      },
    ],
    how: [
      'Each recording is looked at again under lock, hidden in a transaction of its own with its entry, and the store is asked to protect it (which of these rows it has no object of).',
    ],
  }
}
