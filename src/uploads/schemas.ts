import { Type } from 'typebox'
import { Digest, IdOf, Serial } from '../base/ids.ts'
import type { UploadState as UploadStates } from '../engines/tables.ts'

const states: UploadStates[] = ['open', 'stored', 'completing', 'verified', 'quarantined', 'expired', 'ended']
export const UploadState = Type.Unsafe<UploadStates>({ type: 'string', enum: states })

export const UploadView = Type.Object({
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
