import { Type } from 'typebox'
import { CollarNumber, Digest, IdOf, Serial } from '../base/ids.ts'
import { Time } from '../base/time.ts'
import type { FileState } from './manifest.ts'

const closed = { additionalProperties: false } as const
const FileName = Type.String({
  minLength: 1,
  maxLength: 4096,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  examples: ['BWC_0042.MP4'],
})

const File = Type.Object(
  {
    name: FileName,
    size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    sha256: Digest,
    recordedAt: Time,
    number: Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999_999_999_999 })),
    sequence: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    officer: Type.Optional(CollarNumber),
  },
  closed,
)

export const Manifest = Type.Object(
  {
    camera: Serial,
    clock: Type.Optional(
      Type.Object(
        { camera: Time, dock: Time },
        { ...closed, description: 'Both clocks, read at one moment at docking' },
      ),
    ),
    storageFree: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    files: Type.Array(File, { maxItems: 5000 }),
  },
  closed,
)

const states: FileState['state'][] = ['owed', 'uploading', 'verifying', 'held', 'quarantined', 'erased']

export const ManifestState = Type.Object({
  items: Type.Array(
    Type.Object({
      name: Type.String(),
      sha256: Digest,
      state: Type.Unsafe<FileState['state']>({ type: 'string', enum: states }),
      uploadUrl: Type.Optional(Type.String({ format: 'uri' })),
      recordingId: Type.Optional(IdOf.recording),
      receiptUrl: Type.Optional(
        Type.String({ format: 'uri', description: 'In custody: the receipt is here, for any dock' }),
      ),
    }),
  ),
})

export const Missing = Type.Object({
  name: Type.String(),
  size: Type.Integer(),
  sha256: Digest,
  recordedAt: Type.String({ format: 'date-time' }),
  number: Type.Optional(Type.Integer()),
  sequence: Type.Optional(Type.String()),
  dock: IdOf.dock,
  firstAnnouncedAt: Type.String({ format: 'date-time' }),
  lastAnnouncedAt: Type.String({ format: 'date-time' }),
})

export const RecordingRef = Type.Object({ id: IdOf.recording })
