import { Type } from 'typebox'
import { CollarNumber, IdOf } from '../base/ids.ts'
import { Reason } from './reasons.ts'
import { RoleName } from './role.ts'

export const Me = Type.Object(
  { id: IdOf.person, name: Type.String(), roles: Type.Array(RoleName), collar: Type.Optional(CollarNumber) },
  {
    examples: [{ id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091', name: 'Asha Rao', roles: ['investigator'] }],
  },
)

export const PersonView = Type.Object({
  id: IdOf.person,
  name: Type.String(),
  collar: Type.Optional(CollarNumber),
  firstSeenAt: Type.String({ format: 'date-time' }),
  suspendedAt: Type.Optional(Type.String({ format: 'date-time' })),
})

/** The body of an act that may be explained, or not. */
export const MaybeReason = Type.Union([Type.Object({ reason: Type.Optional(Reason) }), Type.Null()])
