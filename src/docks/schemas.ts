import { Type } from 'typebox'
import { CollarNumber, IdOf, Serial } from '../base/ids.ts'
import { Time } from '../base/time.ts'

const printable = '^[^\\u0000-\\u001f\\u007f]*[^\\s\\u0000-\\u001f\\u007f][^\\u0000-\\u001f\\u007f]*$'
const Words = Type.String({ minLength: 1, maxLength: 100, pattern: printable })
const At = Type.String({ format: 'date-time' })

/** A public JWK. Members that say more than the key (kid, use, alg) are let through and not kept. */
const PublicKey = Type.Object(
  {
    kty: Type.Literal('OKP'),
    crv: Type.Literal('Ed25519'),
    x: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'The 32 bytes of the key, base64url' }),
  },
  { additionalProperties: true, description: 'The public half of the Ed25519 key that the dock made, as a JWK' },
)

const key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
export const Enrolment = Type.Object(
  { name: Words, site: Words, publicKey: PublicKey },
  { examples: [{ name: 'Front desk 1', site: 'Central', publicKey: key }] },
)
export const NewKey = Type.Object({ publicKey: PublicKey }, { examples: [{ publicKey: key }] })
export const Enrolled = Type.Object({ id: IdOf.dock })

export const DockView = Type.Object({
  id: IdOf.dock,
  name: Type.String(),
  site: Type.String(),
  thumbprint: Type.String({ description: 'RFC 7638 thumbprint of its key' }),
  enrolledAt: At,
  suspendedAt: Type.Optional(At),
})

export const Registration = Type.Object(
  { serial: Serial, model: Words },
  { examples: [{ serial: 'BWC-004217', model: 'Sentinel 2' }] },
)
export const CameraView = Type.Object({
  serial: Serial,
  model: Type.Optional(Type.String()),
  confirmed: Type.Boolean({ description: 'False while nobody registered it: it came with footage' }),
  firstSeenAt: At,
})

export const Assignment = Type.Object(
  { officer: CollarNumber, from: Time, to: Type.Optional(Time) },
  { examples: [{ officer: '4217', from: '2026-11-25T06:00:00Z' }] },
)
export const AssignmentView = Type.Object({ camera: Serial, officer: CollarNumber, from: At, to: Type.Optional(At) })
