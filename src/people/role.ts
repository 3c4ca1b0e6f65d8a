import { Type } from 'typebox'

/** What a person may be (design, section 4). Their tokens may say more; what is not here counts for nothing. */
export const roles = ['officer', 'investigator', 'disclosure', 'supervisor', 'retention', 'auditor', 'admin'] as const

export type Role = (typeof roles)[number]

export const isRole = (word: unknown): word is Role => roles.some((role) => role === word)

export const RoleName = Type.Unsafe<Role>({ type: 'string', enum: [...roles] })
