import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { type IdentityRole, isIdentityRole } from '../../engines/embedded/identity-people.ts'
import { issueToken } from '../../engines/embedded/issue-token.ts'
import { Failure } from '../failure.ts'

/** `:2` is the second person of the role. */
export type Who = IdentityRole | `${IdentityRole}:2`

export type AskAs = <Schema extends TSchema>(
  who: Who,
  method: string,
  path: string,
  schema: Schema,
  body?: unknown,
) => Promise<Static<Schema>>

/** Calls the published API as one of the people of the embedded provider, who sign in when they are first needed. */
export const callers = (url: string, issuer: string): AskAs => {
  const tokens = new Map<Who, Promise<string>>()
  return async (who, method, path, schema, body) => {
    const token = tokens.get(who) ?? tokenOf(issuer, who)
    tokens.set(who, token)
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer: unknown = response.status === 204 ? undefined : await response.json()
    if (response.ok && Value.Check(schema, answer)) return answer
    throw new Failure(`${method} ${path} as ${who} was answered ${response.status}: ${JSON.stringify(answer)}`)
  }
}

/** A token of the person with this role. */
export const tokenOf = async (issuer: string, who: Who): Promise<string> => {
  const [role = '', which = '1'] = who.split(':')
  if (!isIdentityRole(role)) throw new Error(`there is no role ${role}`)
  return await issueToken({ issuer, role, which: Number(which) })
}
