import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { IdentityRole } from '../../engines/embedded/identity-people.ts'
import { issueToken } from '../../engines/embedded/issue-token.ts'
import { Failure } from '../failure.ts'

export type AskAs = <Schema extends TSchema>(
  role: IdentityRole,
  method: string,
  path: string,
  schema: Schema,
  body?: unknown,
) => Promise<Static<Schema>>

/** Calls the published API as one of the people of the embedded provider, who sign in when they are first needed. */
export const callers = (url: string, issuer: string): AskAs => {
  const tokens = new Map<IdentityRole, Promise<string>>()
  return async (role, method, path, schema, body) => {
    const token = tokens.get(role) ?? issueToken({ issuer, role })
    tokens.set(role, token)
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
    throw new Failure(`${method} ${path} as ${role} was answered ${response.status}: ${JSON.stringify(answer)}`)
  }
}

/** A token of the person with this role. */
export const tokenOf = async (issuer: string, role: IdentityRole): Promise<string> => await issueToken({ issuer, role })
