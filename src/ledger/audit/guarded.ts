/** What guards the ledger in the database, as the migrations of this release make it. */

/** How a trigger fires: `pg_trigger.tgtype`. */
const timing = {
  'before update or delete, each row': 27,
  'before truncate': 34,
  'before insert, each row': 7,
  'after insert, each row': 5,
} as const

export type Trigger = { type: number; calls: string }

const appendOnly: Trigger = { type: timing['before update or delete, each row'], calls: 'refuse_change' }
const noTruncate: Trigger = { type: timing['before truncate'], calls: 'refuse_change' }
const owedALeaf: Trigger = { type: timing['after insert, each row'], calls: 'owe_leaf' }
const onChange = (calls: string): Trigger => ({ ...appendOnly, calls })

/** By the table. Each partition of `entries` has those of `entries` too. */
export const triggers: Record<string, Record<string, Trigger>> = {
  entries: { append_only: appendOnly, no_truncate: noTruncate, owed_a_leaf: owedALeaf },
  entry_bodies: { guarded: onChange('guard_entry_body'), no_truncate: noTruncate },
  entry_erasures: { append_only: appendOnly, no_truncate: noTruncate },
  leaves: { append_only: onChange('guard_leaf'), no_truncate: noTruncate },
  lost_leaves: { append_only: appendOnly, no_truncate: noTruncate },
  checkpoints: {
    append_only: appendOnly,
    no_truncate: noTruncate,
    only_larger: { type: timing['before insert, each row'], calls: 'guard_checkpoint' },
  },
  cosignatures: { append_only: appendOnly, no_truncate: noTruncate },
  receipt_keys: { guarded: onChange('guard_receipt_key'), no_truncate: noTruncate },
}

/**
 * SHA-256 over the source of each function, whether it runs as its owner, and its settings: a migration that changes one
 * changes it here, and the test of a database that was just migrated says so.
 */
export const functions: Record<string, string> = {
  refuse_change: 'ac290871e9345099650210c4e7841801a5295d3f192e390f6b26bf437c9ee203',
  guard_entry_body: '31e76ea09e30c25a7303b23ec037ecea69048f1010e329bfde2966a4998032fe',
  guard_leaf: '23b81bc0466d6ca37ed3e2b6ef79d0de3ebcb817602bc866e68ff016bf8e72a1',
  guard_checkpoint: 'a6f5cd7030813113f29fd6c6fa2893bf43ebff77895603aaa97e8ad63ba0e3e9',
  guard_receipt_key: 'dd025f26ff49af93b181c31bf8b318ff667d33195668892c9a96f0537b720cf4',
  owe_leaf: 'b6d24a08e21f476fead13c2ded5988bdce7b14953e975b4dd4254357fef86e4e',
  make_entry_partitions: '15a612ce5cd421200c4a7468df2c61a3062fd301da91d2249a2ea04530ee8750',
  number_entries: 'ae9742d1a3b76e9b2308d68e2c54bd31a083387b31810542ead921a26da00644',
  erase_entry_body: '186748fd56543c7fb7fde5c52837e1322cd4d1403d1b4cbac3a90863341fa38b',
}

/** What the application may do beside reading; by the column where it is not all of them. */
export const rights: Record<string, readonly string[]> = {
  entries: ['INSERT'],
  entry_bodies: ['INSERT'],
  entry_erasures: [],
  leaves: [],
  lost_leaves: [],
  unsequenced: [],
  checkpoints: ['INSERT'],
  cosignatures: ['INSERT'],
  receipt_keys: ['INSERT'],
  logs: ['INSERT', 'UPDATE (cleaned_size)', 'UPDATE (halted)', 'UPDATE (leased_until)', 'UPDATE (publisher)'],
}

/** Columns of entry_bodies that the database itself derives from what is hashed. */
export const derived: Record<string, string> = {
  action: "((entry)::json ->> 'action'::text)",
  subject_type: "((entry)::json #>> '{subject,type}'::text[])",
  subject_id: "((entry)::json #>> '{subject,id}'::text[])",
  at: "((entry)::json ->> 'at'::text)",
  operation: "((entry)::json ->> 'operation'::text)",
  outcome: "((entry)::json ->> 'outcome'::text)",
  actor_kind: "(parts #>> '{actor,value,kind}'::text[])",
  actor_id: "(parts #>> '{actor,value,id}'::text[])",
}
