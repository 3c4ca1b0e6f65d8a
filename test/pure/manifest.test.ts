import { expect, test } from 'vitest'
import { type DockId, newId, type RecordingId, type Sha256, type UploadId } from '../../src/base/ids.ts'
import { fileState } from '../../src/custody/manifest.ts'
import type { KnownRecording, KnownUpload } from '../../src/custody/queries.ts'

const sha256 = 'a'.repeat(64) as Sha256
const other = 'b'.repeat(64) as Sha256
const file = { size: 10, sha256 }
const here = newId<DockId>()
const elsewhere = newId<DockId>()

const upload = (over: Partial<KnownUpload> = {}): KnownUpload => ({
  id: newId<UploadId>(),
  recording: newId<RecordingId>(),
  dock: here,
  state: 'open',
  size: 10,
  sha256,
  kept: false,
  ...over,
})
const recording = (over: Partial<KnownRecording> = {}): KnownRecording => ({
  id: newId<RecordingId>(),
  size: 10,
  sha256,
  declared: sha256,
  status: 'active',
  quarantinedBecause: null,
  duplicateOf: null,
  readmittedAt: null,
  ...over,
})
const mismatch = (read: Sha256) =>
  recording({ status: 'quarantined', quarantinedBecause: 'digest-mismatch', sha256: read })

const cases: [string, string, { uploads?: KnownUpload[]; recordings?: KnownRecording[] }][] = [
  ['a file nobody sent', 'owed', {}],
  ['a file in custody', 'held', { recordings: [recording()] }],
  ['a file in custody that is being sent again', 'held', { recordings: [recording()], uploads: [upload()] }],
  ['a file that reads the same and was declared by nobody', 'held', { recordings: [recording({ declared: null })] }],
  ['a file accepted under another digest than declared', 'held', { recordings: [recording({ sha256: other })] }],
  ['a file of the same digest and another size', 'owed', { recordings: [recording({ size: 11 })] }],
  ['a file whose bytes have all arrived', 'verifying', { uploads: [upload({ state: 'stored' })] }],
  [
    'a file whose object is being completed',
    'verifying',
    { uploads: [upload({ state: 'completing', dock: elsewhere })] },
  ],
  ['a file this dock is sending', 'uploading', { uploads: [upload()] }],
  ['a file another dock is sending', 'owed', { uploads: [upload({ dock: elsewhere })] }],
  ['an upload that was given up', 'owed', { uploads: [upload({ state: 'ended' }), upload({ state: 'expired' })] }],
  ['an upload of which a part was kept', 'owed', { uploads: [upload({ state: 'stored', kept: true })] }],
  ['a quarantined file', 'owed', { recordings: [mismatch(other)] }],
  ['a quarantined file that is sent once more', 'uploading', { recordings: [mismatch(other)], uploads: [upload()] }],
  [
    'a file that read back alike twice against its declaration',
    'quarantined',
    { recordings: [mismatch(other), mismatch(other)] },
  ],
  [
    'a file that read back differently each time',
    'owed',
    { recordings: [mismatch(other), mismatch('c'.repeat(64) as Sha256)] },
  ],
  [
    'a file whose parts were damaged twice',
    'owed',
    {
      recordings: [1, 2].map(() =>
        recording({ status: 'quarantined', quarantinedBecause: 'parts-mismatch', sha256: null }),
      ),
    },
  ],
  [
    'a discarded file',
    'quarantined',
    { recordings: [recording({ status: 'quarantined', quarantinedBecause: 'discarded', sha256: other })] },
  ],
  [
    'an erased file that had been accepted under another digest than declared',
    'erased',
    { recordings: [recording({ sha256: other, status: 'erased' })] },
  ],
  [
    'a file of which another one with its declared digest and another size was erased',
    'owed',
    { recordings: [recording({ sha256: other, size: 11, status: 'erased' })] },
  ],
  [
    'an erased file that a supervisor re-admitted',
    'owed',
    { recordings: [recording({ status: 'erased', readmittedAt: new Date() })] },
  ],
  [
    'an erased file',
    'erased',
    { recordings: [recording({ status: 'erased' })], uploads: [upload({ state: 'verified' })] },
  ],
  ['a duplicate alone', 'owed', { recordings: [recording({ duplicateOf: newId<RecordingId>() })] }],
]

test.each(cases)('%s is %s', (_what, state, { uploads = [], recordings = [] }) => {
  expect(fileState(file, here, { uploads, recordings }).state).toBe(state)
})
