import { Value } from 'typebox/value'
import type { AppOptions } from '../src/api/app.ts'
import { type Api, startApi } from '../src/api/server.ts'
import type { DockId } from '../src/base/ids.ts'
import { Enrolled } from '../src/docks/schemas.ts'
import { freePort } from '../src/engines/embedded/ports.ts'
import type { Log } from '../src/engines/log.ts'
import type { Role } from '../src/people/role.ts'
import { type TestEngines, type TestOptions, testEngines } from './engines.ts'
import { type DockKey, dockToken, makeDockKey, startIssuer, type TestIssuer } from './tokens.ts'

export type Answer = { status: number; headers: Headers; body: unknown; text: string }

type Ask = { token?: string; json?: unknown; body?: string; headers?: Record<string, string> }

export type TestApi = AsyncDisposable & {
  api: Api
  engines: TestEngines
  issuer: TestIssuer
  /** One request; `path` from the root. */
  ask(method: string, path: string, wanted?: Ask): Promise<Answer>
  /** One request of a person in the role. */
  as(role: Role, method: string, path: string, json?: unknown): Promise<Answer>
  /** Enrols a dock through the api. */
  enrol(key?: DockKey): Promise<{ id: DockId; key: DockKey; token: string }>
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const idIn = (body: unknown): DockId => {
  if (Value.Check(Enrolled, body)) return body.id
  throw new Error('the answer has no id')
}

/** An api that listens on loopback, with engines and an issuer of its own. */
export const startTestApi = async (
  { log, ...options }: TestOptions & { log?: Log } = {},
  app: AppOptions = {},
): Promise<TestApi> => {
  const issuer = await startIssuer()
  const port = String(await freePort())
  const env = {
    OIDC_ISSUER: issuer.url,
    HTTP_PORT: port,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    RATE_DOCK: '100000',
    RATE_PERSON: '100000',
    ...options.env,
  }
  const made = await testEngines({ ...options, env })
  const engines = { ...made, log: log ?? made.log }
  const api = await startApi(engines, app)

  const ask: TestApi['ask'] = async (method, path, { token, json, body, headers = {} } = {}) => {
    const sent = json === undefined ? body : JSON.stringify(json)
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
      redirect: 'manual',
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: parsed(text), text }
  }
  const as: TestApi['as'] = async (role, method, path, json) =>
    await ask(method, path, { token: await issuer.tokenFor(role), ...(json === undefined ? {} : { json }) })

  return {
    api,
    engines,
    issuer,
    ask,
    as,
    enrol: async (key = makeDockKey()) => {
      const { body } = await as('admin', 'POST', '/api/v1/docks', {
        name: 'Desk',
        site: 'Central',
        publicKey: key.publicKey,
      })
      const id = idIn(body)
      return { id, key, token: await dockToken(id, key) }
    },
    [Symbol.asyncDispose]: async () => {
      await api.stop()
      await engines[Symbol.asyncDispose]()
      await issuer[Symbol.asyncDispose]()
    },
  }
}
