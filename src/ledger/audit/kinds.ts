/** What an operator is told of a kind of finding. The names are stable: monitors go by them. */
type Words = { happened: string; unaffected: string; next: string }

const keepBoth = 'Copy the database and the bucket as they are before anything is mended: they are evidence.'
const fromBackup = `${keepBoth} Then take the row from a backup: whether it is the right one, the next audit says.`
const fromDatabase =
  '`exhibit ledger recover` makes them again from the leaves, when these are proven to be what was signed.'
const afterDeleting =
  'Keep a copy of the object as evidence and delete it: `exhibit ledger recover` makes it again from the leaves, when these are proven to be what was signed.'
const trustOthers = 'The other entries: each is proven by itself.'
const ask =
  'Find out who changed it and when: the log of the database server knows, as do those who have its owner’s password.'

export const kinds = {
  'leaf-missing': {
    happened: 'Leaves of the log are missing in the database: the table leaves has gaps.',
    unaffected: 'The entries themselves, and the published log in the object store.',
    next: `${keepBoth} Restore the database from a backup, then run \`exhibit ledger recover\`: it takes the leaves from the store.`,
  },
  'entry-missing': {
    happened: 'Leaves whose entry is no longer in the table entries: somebody deleted it, or dropped its month.',
    unaffected: `${trustOthers} The leaf data is still in the object store.`,
    next: fromBackup,
  },
  'lost-unproven': {
    happened: 'Leaves stand without their entry as lost, and no entry of a recovery says that these were lost.',
    unaffected: trustOthers,
    next: `Treat those entries as deleted. ${keepBoth} Look for them in backups. ${ask}`,
  },
  'body-changed': {
    happened: 'What is kept of an entry is not what was written: text and salt do not hash to its leaf.',
    unaffected: trustOthers,
    next: `${fromBackup} ${ask}`,
  },
  'body-misplaced': {
    happened: 'The body of an entry is that of another one: the id in its text is not its own.',
    unaffected: trustOthers,
    next: `${fromBackup} ${ask}`,
  },
  'body-deleted': {
    happened: 'The body of an entry is gone, and no erasure took it: it was deleted.',
    unaffected: 'Its leaf: that there was such an entry is still proven. What was erased lawfully is not counted here.',
    next: `${fromBackup} ${ask}`,
  },
  'part-changed': {
    happened: 'A sealed part of an entry (who, why, for whom, by which policy, details) is not what was sealed.',
    unaffected: 'The rest of that entry, which its leaf proves, and all other entries.',
    next: `${fromBackup} ${ask}`,
  },
  'part-deleted': {
    happened: 'A sealed part of an entry is gone, and no erasure took it: it was deleted.',
    unaffected: 'The rest of that entry, which its leaf proves, and all other entries.',
    next: `${fromBackup} ${ask}`,
  },
  'part-added': {
    happened: 'An entry has a part that was never sealed into it: it was added later.',
    unaffected: 'The rest of that entry, which its leaf proves, and all other entries.',
    next: `${fromBackup} ${ask}`,
  },
  'erasure-unproven': {
    happened: 'What is marked as erased names no erasure of it: the entry it names is missing, or took something else.',
    unaffected: 'Its leaf, and every erasure that is proven.',
    next: `Treat it as deleted. ${fromBackup} ${ask}`,
  },
  'erasure-not-done': {
    happened: 'What an erasure took is still there, or was put back.',
    unaffected: 'The proofs: nothing in the log is wrong.',
    next: 'Somebody may have restored it from a backup. Find out on whose authority, and erase it again.',
  },
  'erasures-differ': {
    happened:
      'What was erased stands otherwise in the table entry_erasures, or not at all: the chain of custody of that footage leaves out an act, or tells one that never was.',
    unaffected: 'The erasures themselves, which their entries prove, and the log.',
    next: `${fromBackup} ${ask}`,
  },
  'entry-forgotten': {
    happened: 'Entries are neither leaves of a log nor waiting to be: the log would never have them.',
    unaffected: 'What is in the log.',
    next: 'As the owner of the database: insert into unsequenced select id from entries where not exists (select from leaves where leaves.entry = entries.id) on conflict do nothing. The next checkpoint covers them. Then find out why they were not there: see the findings on triggers.',
  },
  'entry-owed-again': {
    happened: 'Entries that are leaves already wait to become leaves again.',
    unaffected: 'What is in the log: the database lets no entry in twice, but nothing new is numbered beside them.',
    next: `As the owner of the database: delete from unsequenced where entry in (select entry from leaves). ${ask}`,
  },
  'owed-entry-missing': {
    happened: 'Entries that wait to become leaves are no longer in the table entries.',
    unaffected: 'What is in the log.',
    next: fromBackup,
  },
  'body-without-entry': {
    happened: 'Bodies whose row in the table entries is gone.',
    unaffected: trustOthers,
    next: fromBackup,
  },
  'database-behind': {
    happened:
      'The log was published with more leaves than this database has: it is an older one, or leaves were deleted from its end.',
    unaffected:
      'The published log in the object store, and what this database has. Entries go on being written; they wait.',
    next: 'If a newer backup exists, restore that. Otherwise run `exhibit ledger recover`; the leaves of a log that has ended are in backups alone.',
  },
  'leaves-unpublished': {
    happened: 'Leaves of a log that has ended are under none of its checkpoints.',
    unaffected: 'The leaves that its last checkpoint covers.',
    next: `${keepBoth} No key may sign for that log again: those entries can be shown, not proven.`,
  },
  'checkpoint-unsigned': {
    happened: 'A row of the table checkpoints is not what the log’s key signed.',
    unaffected: 'The other checkpoints, and the leaves.',
    next: `${fromBackup} ${ask}`,
  },
  'checkpoint-root': {
    happened:
      'The leaves in the database are not those of a published checkpoint: some were changed, swapped, deleted or added.',
    unaffected: 'The published log in the object store, where nothing else is said of it.',
    next: `${keepBoth} The findings on leaves say where. Restore the database from a backup, then run \`exhibit ledger recover\`. ${ask}`,
  },
  'end-unproven': {
    happened:
      'How a log ended is not proven: the first leaf of the next one, which carries its last checkpoint, does not say so any more, or the key that this log has here did not sign that.',
    unaffected: 'The leaves that are there. Whether others were after them, nothing here says.',
    next: `Compare the log’s key with the one that outsiders have: it may have been replaced in the table logs. ${fromBackup} ${ask}`,
  },
  'stored-checkpoint-missing': {
    happened:
      'The store holds no checkpoint as large as the newest one in the database: somebody deleted it, or the bucket is an older one.',
    unaffected: 'The database, and with it every proof that is made from now on.',
    next: 'The next publication stores one again. Until then a restored database could not be told to be old: look who may delete in that bucket.',
  },
  'stored-checkpoint-unsigned': {
    happened: 'A checkpoint in the store is not signed by this log, or stands under another size than its own.',
    unaffected: 'The database.',
    next: `${keepBoth} Put the object back from a backup of the bucket, and look who may write there.`,
  },
  'stored-checkpoint-root': {
    happened: 'The log’s key signed two histories: a checkpoint in the store contradicts the leaves in the database.',
    unaffected: 'Nothing can be taken for granted: a copy of the log’s key may be in other hands.',
    next: `${keepBoth} Find out which of the two outsiders have seen. If the key was misused, change it with \`exhibit keys rotate\`.`,
  },
  'bundle-missing': {
    happened: 'Entry bundles of the published log are missing in the store.',
    unaffected: 'The database. Proofs are made of hash tiles, and go on.',
    next: fromDatabase,
  },
  'bundle-differs': {
    happened: 'An entry bundle in the store was changed: it does not fit the hashes over it, nor the database.',
    unaffected: 'The database. Proofs are made of hash tiles, and go on.',
    next: afterDeleting,
  },
  'leaves-differ': {
    happened: 'Leaves in the store are others than those in the database.',
    unaffected: 'Which of the two is right, the findings on roots say: the one without is.',
    next: `${keepBoth} Restore the one that is wrong from its backup. ${ask}`,
  },
  'tile-missing': {
    happened: 'Hash tiles of the published log are missing in the store.',
    unaffected: 'The database. Proofs that need those tiles cannot be made.',
    next: fromDatabase,
  },
  'tile-differs': {
    happened: 'A hash tile in the store was changed: it does not fit what is below it.',
    unaffected: 'The database. Proofs that need that tile come out wrong, and verify nowhere.',
    next: afterDeleting,
  },
  'object-unknown': {
    happened: 'Something lies among the tiles in the store that is none.',
    unaffected: 'The log: nothing reads it.',
    next: 'Look who put it there, and delete it.',
  },
  'store-root': {
    happened: 'The tree over what the store holds is not the one that was signed.',
    unaffected: 'The database, where nothing is said of it.',
    next: 'The findings on bundles and tiles say where, and what to do.',
  },
  'witnessed-unsigned': {
    happened:
      'A checkpoint with cosignatures, in the store or shown by the witness that signed it, is not signed by this log, or stands under another size than its own.',
    unaffected: 'What the witnesses themselves keep.',
    next: 'Ask the witnesses for theirs, and audit against it with --checkpoint. Where a witness itself shows it, compare the log’s key with the one that its keeper has: it may have been replaced here.',
  },
  'witnessed-root': {
    happened: 'A checkpoint that witnesses signed contradicts what is kept here: the history they saw was another one.',
    unaffected: 'What the witnesses keep: that is the history that was published.',
    next: `${keepBoth} Restore the one of database and store that does not fit. Never delete the witnessed checkpoint.`,
  },
  'witnessed-ahead': {
    happened: 'A witness has seen more leaves than are kept here.',
    unaffected: 'What is kept here.',
    next: 'If a newer backup of the database or the bucket exists, restore that. `exhibit ledger recover` says what else is left.',
  },
  'cosignature-wrong': {
    happened: 'A cosignature in the database is not by the witness whose key is configured.',
    unaffected: 'The log, and the cosignatures of others.',
    next: `Was the key in LEDGER_WITNESSES changed? If not: ${fromBackup}`,
  },
  'given-unsigned': {
    happened: 'The checkpoint that was given is not signed by a log of this installation.',
    unaffected: 'What is kept here was audited without it.',
    next: 'Is it of this installation? Then compare the keys: the log’s key here may have been replaced.',
  },
  'given-root': {
    happened: 'The checkpoint that was given contradicts what is kept here: its keeper saw another history.',
    unaffected: 'The checkpoint that was given: its signature is right.',
    next: `${keepBoth} Restore the one of database and store that does not fit. Keep the checkpoint: it is the proof.`,
  },
  'given-ahead': {
    happened: 'The checkpoint that was given has more leaves than are kept here.',
    unaffected: 'What is kept here.',
    next: 'If a newer backup of the database or the bucket exists, restore that. `exhibit ledger recover --checkpoint` says what else is left.',
  },
  'log-halted': {
    happened: 'The log stands still: nothing is sequenced until a person has looked.',
    unaffected: 'Entries go on being written, and wait.',
    next: 'The other findings say why. When they are mended, `exhibit ledger recover` lets it go on.',
  },
  'log-unknown': {
    happened:
      'The store holds a log that this database does not know: the database is older than the last change of the log’s key.',
    unaffected: 'The logs that it knows.',
    next: 'Restore a backup of the database that is newer than the change of the key.',
  },
  'log-missing': {
    happened: 'A log that was followed by another one is no longer in the database.',
    unaffected: 'The logs that it has, and what outsiders kept of that one.',
    next: fromBackup,
  },
  'trigger-missing': {
    happened: 'A trigger that guards the ledger in the database is missing, or is not what it was made as.',
    unaffected: 'What this audit found in order is in order now.',
    next: `Restore it as the migrations made it. ${ask}`,
  },
  'trigger-disabled': {
    happened: 'A trigger that guards the ledger in the database is switched off.',
    unaffected: 'What this audit found in order is in order now.',
    next: `As the owner: alter table … enable trigger …. ${ask}`,
  },
  'trigger-unknown': {
    happened: 'A table of the ledger has a trigger that no release made: it may change what is written.',
    unaffected: 'What this audit found in order is in order now.',
    next: `Read it, and drop it. ${ask}`,
  },
  'function-changed': {
    happened: 'A function that guards the ledger in the database is missing, or is not the one of this release.',
    unaffected: 'What this audit found in order is in order now.',
    next: `Restore it as the migrations made it. ${ask}`,
  },
  'partition-gap': {
    happened:
      'The table entries has no partition for a range of time: one was dropped or detached, or its months run out.',
    unaffected: 'The other months. In a month without a partition nothing can be written, so nothing is done there.',
    next: 'Is there still a table of that month? As the owner: alter table entries attach partition …. If not, take it from a backup; a month that is still to come is made again by a worker.',
  },
  'grant-grown': {
    happened: 'Somebody may do more to the ledger in the database than write new rows.',
    unaffected: 'What this audit found in order is in order now.',
    next: `As the owner: revoke it. ${ask}`,
  },
  'table-changed': {
    happened: 'A table of the ledger is not as the migrations made it.',
    unaffected: 'What this audit found in order is in order now.',
    next: `Restore it as the migrations made it. ${ask}`,
  },
} as const satisfies Record<string, Words>

export type Kind = keyof typeof kinds
