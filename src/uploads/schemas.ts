import { Type } from 'typebox'
import { Digest, IdOf, Serial } from '../base/ids.ts'

export const UploadState = Type.Union(
  (['open', 'stored', 'completing', 'verified', 'quarantined', 'expired', 'ended'] as const).map((state) =>
    Type.Literal(state),
  ),
)

const UploadView = Type.Object({
  id: IdOf.upload,
  dock: IdOf.dock,
  camera: Serial,
  filename: Type.String(),
  size: Type.Integer({ minimum: 0, description: 'Declared bytes' }),
  received: Type.Integer({ minimum: 0, description: 'Acknowledged bytes' }),
  sha256: Type.Optional(Digest),
  state: UploadState,
  kept: Type.Boolean({ description: 'Whether a supervisor kept what arrived of it' }),
  recordedAt: Type.String({ format: 'date-time' }),
  createdAt: Type.String({ format: 'date-time' }),
  expiresAt: Type.String({ format: 'date-time' }),
  recordingId: Type.Optional(IdOf.recording),
})

export const UploadPage = Type.Object({
  items: Type.Array(UploadView),
  nextCursor: Type.Union([Type.String(), Type.Null()]),
})
