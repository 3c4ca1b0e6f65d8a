import { Type } from 'typebox'
import { Digest } from '../../base/ids.ts'

const Size = Type.Integer({ minimum: 0 })
/** Of `provenance.json`, what is held against the rest of the bundle. */
export const Provenance = Type.Object({
  v: Type.Literal(1),
  bundle: Type.String(),
  exhibit: Type.Object({
    id: Type.String(),
    reference: Type.String(),
    item: Type.Integer(),
    kind: Type.Enum(['recording', 'clip']),
  }),
  source: Type.Object({
    recording: Type.String(),
    camera: Type.String(),
    filename: Type.String(),
    size: Size,
    sha256: Digest,
    receipt: Type.Union([Type.String(), Type.Null()]),
  }),
  clip: Type.Union([
    Type.Object({
      id: Type.String(),
      size: Size,
      sha256: Digest,
      source: Type.Object({ recording: Type.String(), sha256: Digest }),
    }),
    Type.Null(),
  ]),
  files: Type.Array(
    Type.Object({
      path: Type.String(),
      size: Size,
      sha256: Digest,
      made: Type.Enum(['original', 'clip', 'viewing-copy']),
    }),
  ),
})
export type Provenance = Type.Static<typeof Provenance>
