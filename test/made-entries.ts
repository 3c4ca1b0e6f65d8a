import { Client } from 'pg'
import { type EntryId, firstIdAt } from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import { inTransaction } from '../src/engines/postgres.ts'
import { type Act, type Operation, type Outcome, sealEntry } from '../src/ledger/entry.ts'

/** What an auditor can ask of a made entry by; `at` as entries have it. */
export type Made = {
  id: EntryId
  at: string
  actor: string
  subject: string
  operation: Operation
  action: string
  outcome: Outcome
}

/**
 * The n-th of many entries of an ordinary installation, ten seconds apart: most by the service, a few rare words, and two
 * words that are each frequent and never go together (`exhibit` and `recording.read`).
 */
const nth = (n: number, startMs: number): Made => {
  const ms = startMs + n * 10_000
  const person = n % 10 === 3
  const id = `${firstIdAt(ms).slice(0, 13)}-7000-8000-${n.toString(16).padStart(12, '0')}` as EntryId
  const rare = n % 40_009 === 17
  return {
    id,
    at: Temporal.Instant.fromEpochMilliseconds(ms)
      .add({ microseconds: n % 1000 })
      .toString({ fractionalSecondDigits: 6 }),
    actor: person ? `person-${n % 97}` : 'exhibit',
    subject: `recording-${(n * 7919) % 5003}`,
    operation: person ? 'consultation' : n % 3 === 0 ? 'collection' : 'administration',
    action: rare ? 'key.rotated' : person ? 'recording.read' : n % 3 === 0 ? 'recording.verified' : 'job.ended',
    outcome: n % 211 === 5 ? 'denied' : 'allowed',
  }
}

/**
 * Writes `count` made entries as the owner of the database, in one go, oldest first, as leaves of the log that must have begun. Their salts and leaf data are nothing.
 */
export const makeEntries = async (ownerUrl: string, count: number, startMs: number): Promise<Made[]> => {
  const made = Array.from({ length: count }, (_, n) => nth(n, startMs))
  const client = new Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    await client.query('alter table entries disable trigger owed_a_leaf')
    for (let from = 0; from < count; from += 20_000) {
      const some = JSON.stringify(
        made.slice(from, from + 20_000).map((entry, n) => ({ ...entry, index: from + n + 1 })),
      )
      await client.query(
        `with made as (select * from json_to_recordset($1)
            as (index bigint, id uuid, at text, actor text, subject text, operation text, action text, outcome text)),
          data as (insert into entries (id, leaf) select id, sha256(id::text::bytea) from made),
          leaf as (insert into leaves (log, index, entry) select 1, index, id from made)
        insert into entry_bodies (id, entry, salt, parts)
        select id, json_build_object('v', 1, 'id', id, 'at', at, 'operation', operation, 'action', action, 'outcome', outcome,
            'subject', json_build_object('type', 'recording', 'id', subject), 'sealed', json_build_object('actor', repeat('0', 64)))::text,
          decode(repeat('00', 16), 'hex'),
          jsonb_build_object('actor', jsonb_build_object('salt', repeat('0', 32),
            'value', jsonb_build_object('kind', case when actor = 'exhibit' then 'service' else 'person' end, 'id', actor)))
        from made`,
        [some],
      )
    }
    await client.query('alter table entries enable trigger owed_a_leaf')
    await client.query('vacuum analyze entry_bodies, entries, leaves')
  } finally {
    await client.end()
  }
  return made
}

/** Entries of one act, many at once, in the order of their ids, which is that of their births; two of one millisecond have none. */
export const writeEntries = async ({ db, clock }: Engines, act: Act, count: number): Promise<EntryId[]> =>
  await inTransaction(db, async (tx) => {
    const sealed = Array.from({ length: count }, () => sealEntry(act, clock))
    for (let from = 0; from < count; from += 1000) {
      const some = sealed.slice(from, from + 1000)
      await tx
        .insertInto('entries')
        .values(some.map(({ id, leaf }) => ({ id, leaf })))
        .execute()
      const bodies = some.map(({ id, entry, salt, parts }) => ({ id, entry, salt, parts: JSON.stringify(parts) }))
      await tx.insertInto('entryBodies').values(bodies).execute()
    }
    return sealed.map(({ id }) => id).sort()
  })
