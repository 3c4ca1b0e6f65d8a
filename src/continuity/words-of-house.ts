import type { Words } from './telling.ts'

/** What was done in the installation and not to any footage. */
export const houseWords: Words = {
  'person.first-seen': () => 'A person signed in for the first time.',
  'person.joined': () => 'A person was found to be an officer who was known already.',
  'person.suspended': () => 'A person was suspended.',
  'person.resumed': () => 'A suspension of a person ended.',
  'dock.enrolled': () => 'A docking station was enrolled.',
  'dock.key-replaced': () => 'A docking station got a new key.',
  'dock.suspended': () => 'A docking station was suspended.',
  'dock.resumed': () => 'A suspension of a docking station ended.',
  'camera.registered': () => 'A camera was registered.',
  'camera.assigned': () => 'A camera was assigned to an officer for a time.',
  'key.published': () => 'A key that signs receipts was published.',
  'key.rotated': () => 'The key that signs receipts was replaced by a new one.',
  'log.rotated': () => 'The log was ended, and another begun with a key of its own.',
  'entries.listed': () => 'The ledger was searched.',
  'entries.exported': () => 'Entries of the ledger were exported.',
  'ledger.recovered': () =>
    'The database had been an older one than the log: what it lacked was taken from the log, and is on record as lost.',
  'log.begun': () => 'The log was begun, with its origin and its key.',
  'job.retried': () => 'A job that had failed was tried again.',
}
