import { Client } from 'pg'
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

const rows = `
  with made as (
    select uuidv7() as upload, uuidv7() as id, n from generate_series(1, $1::int) as n
  ), example as (
    select to_jsonb(recordings) as recording, to_jsonb(uploads) as sent
    from recordings join uploads on uploads.id = recordings.upload where recordings.id = $2
  ), uploaded as (
    insert into uploads
    select (jsonb_populate_record(null::uploads, sent || jsonb_build_object('id', upload, 'recording', id))).*
    from example, made
  )
  insert into recordings
  select (jsonb_populate_record(null::recordings, recording || jsonb_build_object(
    'id', id, 'upload', upload, 'category', $3::text, 'sha256', encode(sha256(id::text::bytea), 'hex'),
    'recorded_at', now() - interval '60 days' - n * interval '1 second',
    'corrected_at', now() - interval '60 days' - n * interval '1 second'))).*
  from example, made`

/** Rows like the example, of this category, recorded two months ago and before; their objects are not in the store. */
const grow = async (url: string, example: RecordingId, category: string, count: number): Promise<void> => {
  const step = 20_000
  const admin = new Client({ connectionString: url })
  await admin.connect()
  try {
    // Without triggers and foreign keys, which would look at each of a million rows.
    await admin.query('set session_replication_role = replica')
    for (let done = 0; done < count; done += step)
      await admin.query(rows, [Math.min(step, count - done), example, category])
    await admin.query('analyze recordings, uploads')
  } finally {
    await admin.end()
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
  const url = stack.engines.postgres.adminUrl(new URL(installation.environment.DATABASE_URL ?? '').pathname.slice(1))

  const sweep = contender(async () => {
    await grow(url, example, 'short', due)
    const id = await startPurge(engines, person)
    const began = performance.now()
    await runPurge(engines, id, runOf())
    const seconds = (performance.now() - began) / 1000
    const { hidden, said } = await readPurge(engines, id)
    if (hidden !== due) throw new Error(`the purge hid ${hidden}: ${said}`)
    return seconds
  })
  await grow(url, example, 'long', few - due)
  for (let round = 0; round < rounds; round++) await sweep.take()
  await grow(url, example, 'long', many - few)
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
      'Each recording is looked at again under lock, hidden in a transaction of its own with its entry, and the store is asked to protect it (which of these rows it has no object of). Each round hides others, and as many are made due for the next: the recordings hidden before stay where they are.',
    ],
  }
}
