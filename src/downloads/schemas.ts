import type { Readable } from 'node:stream'
import { Type } from 'typebox'
import { Digest } from '../base/ids.ts'
import { Reason } from '../people/reasons.ts'

export const DownloadRequest = Type.Object({ reason: Reason }, { additionalProperties: false })

export const DownloadView = Type.Object(
  {
    url: Type.String({ format: 'uri', description: 'Needs no header; serves GET, HEAD and ranges until expiresAt' }),
    sha256: Digest,
    size: Type.Integer({ minimum: 0, description: 'Bytes' }),
    expiresAt: Type.String({ format: 'date-time' }),
  },
  {
    examples: [
      {
        url: 'https://exhibit.example/api/v1/downloads/q0Yx7sH1mKp2vT8rWn4dLzE9bJcUeAfGiOoSk3hM5RQ',
        sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
        size: 382_730_240,
        expiresAt: '2026-11-25T22:30:00.000Z',
      },
    ],
  },
)

const bytes = { 'application/octet-stream': { schema: Type.Unsafe<Readable>({ type: 'string', format: 'binary' }) } }

/** The file, or a range of it. The content type of an original is the one that was found in it. */
export const fileResponses = {
  200: { description: 'The file, in the type of its container', content: bytes },
  206: { description: 'The bytes of Content-Range', content: bytes },
}
