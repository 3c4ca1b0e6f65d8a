import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { type ConfiguredWitness, parseWitnesses } from './witness-list.ts'

const text = (description: string, preset?: string) =>
  Type.String({ minLength: 1, description, ...(preset === undefined ? {} : { default: preset }) })
const whole = (description: string, preset: number, minimum = 0) =>
  Type.Integer({ description, default: preset, minimum })

/** Every environment variable the api and the worker read. `.env.example` is held against this by a test. */
export const Environment = Type.Object({
  HTTP_HOST: text('Address the api listens on', '127.0.0.1'),
  HTTP_PORT: whole('Port of the api', 8080),
  METRICS_PORT: whole('Port of the Prometheus metrics, api and worker; 0 turns them off', 0),
  PUBLIC_URL: text('The address at which clients reach the api, without a path', 'http://127.0.0.1:8080'),
  TRUST_PROXY: Type.String({
    default: '',
    description: 'Addresses or networks of proxies in front, separated by commas: their X-Forwarded-For is believed',
  }),
  LOG_LEVEL: text('trace, debug, info, warn or error', 'info'),
  STOP_SECONDS: whole('How long a stopping process lets work in flight finish', 20, 1),

  DATABASE_URL: text('Postgres 18 as the application role exhibit_app'),
  DATABASE_OWNER_URL: Type.Optional(text('Postgres 18 as the role exhibit_owner: only `exhibit migrate` reads it')),
  DATABASE_CONNECTIONS: whole('Connections of one process', 20, 2),

  REDIS_URL: text('Redis 7 or Valkey, with persistence on and maxmemory-policy noeviction'),
  REDIS_PREFIX: text('Begins every Redis key', 'exhibit'),

  S3_ENDPOINT: text('The S3 server'),
  S3_REGION: text('Its region', 'us-east-1'),
  S3_ACCESS_KEY: text('The access key of the application'),
  S3_SECRET_KEY: text('The secret key of the application'),
  S3_ORIGINALS: text('Bucket of the originals: versions and Object Lock on', 'exhibit-originals'),
  S3_STAGING: text('Bucket of tails of uploads', 'exhibit-staging'),
  S3_DERIVED: text('Bucket of what is derived', 'exhibit-derived'),
  S3_LEDGER: text('Bucket of the log', 'exhibit-ledger'),
  S3_KEY_PREFIX: Type.String({ default: '', description: 'Begins every object key; empty, or ends with a slash' }),
  S3_TIMEOUT_SECONDS: whole('How long one request to the store may stand still', 20, 1),

  OIDC_ISSUER: text('Issuer of the tokens of people'),
  OIDC_AUDIENCE: text('Audience their tokens must name', 'exhibit'),
  OIDC_ROLES_CLAIM: text('Claim that lists the roles', 'roles'),
  OIDC_COLLAR_CLAIM: text('Claim that carries the collar number', 'collar_number'),

  RECEIPT_KEY_FILE: text('Private Ed25519 JWK that signs receipts, mode 600'),
  RECEIPT_ISSUER: text('`iss` of the receipts: the name of this installation', 'exhibit'),

  LOG_KEY_FILE: text('Private Ed25519 JWK that signs the checkpoints of the log, mode 600: the workers alone need it'),
  LOG_ORIGIN: Type.Optional(
    text('Name of the log, such as log.example.org/exhibit, fixed at its birth; empty: exhibit.local/<random>'),
  ),
  LEDGER_INTERVAL_SECONDS: whole('Entries wait this long at most for the next checkpoint of the log', 1, 1),
  LEDGER_WITNESSES: Type.String({
    default: '',
    description:
      'Witnesses that cosign the checkpoints, and that audit and recovery ask: `<vkey> <url>` of each, separated by commas',
  }),

  INGEST_BUDGET_MIB: whole('Memory that all uploads of one api process share', 256, 32),
  UPLOAD_MAX_BYTES: whole('Largest file', 68_719_476_736, 1),
  UPLOAD_PART_MIB: whole('Smallest part size; it grows so that 1,000 parts hold the file', 32, 5),
  UPLOAD_OPEN_PER_DOCK: whole('Uploads a dock may have open at once', 64, 1),
  UPLOAD_METADATA_BYTES: whole('Longest Upload-Metadata', 8192, 256),
  UPLOAD_EXPIRES_HOURS: whole('An upload that stands still this long goes onto the work list', 168, 1),
  UPLOAD_PARTS_KEPT_HOURS: whole('After that, how long what arrived is still kept', 720, 1),
  UPLOAD_IDLE_SECONDS: whole('An upload request that sends nothing for this long is ended', 30, 1),
  UPLOAD_SLOWEST_BYTES: whole('A request slower than this many bytes a second over a minute is ended', 1024, 0),
  UPLOAD_HOLD_SECONDS: whole(
    'While others wait for memory, a request that kept its share this long goes on in small pieces',
    10,
  ),
  RATE_DOCK: whole('Requests a second of one dock', 50, 1),
  RATE_PERSON: whole('Requests a second of one person', 20, 1),
  UNKNOWN_CAMERAS: Type.Union([Type.Literal('accept'), Type.Literal('refuse')], {
    default: 'accept',
    description: 'Whether a serial nobody registered is accepted as an unconfirmed camera',
  }),
  REASON_CODES: Type.String({
    default: '{}',
    description: 'Codes a reason must begin with, by role, as JSON: {"investigator": ["case", "complaint"]}',
  }),
  REASON_RULE: Type.String({
    default: '{}',
    description:
      'Whether a viewing needs a reason, by role, as JSON: {"officer": "off"}; off, optional or required (where not named)',
  }),
  CLOCK_DRIFT_SECONDS: whole('A camera clock further off than this is flagged', 60, 1),
  DOWNLOAD_MINUTES: whole('How long the address of a download lives', 15, 1),
  VIEWING_MINUTES: whole('How long a viewing lives after the last piece of footage that was asked for', 10, 1),
  VIEWINGS_OPEN: whole('Viewings a person may have open at once', 50, 1),
  CLIPS_OWED: whole('Clips that may be owed to a person at once', 50, 1),
  BUNDLES_OWED: whole('Bundles that may be owed to a person at once', 20, 1),

  RETENTION_TIME_ZONE: text('Time zone by whose calendar periods of retention are counted', 'Europe/London'),
  SIMULATION_HOURS: whole('A policy is approved on a simulation no older than this', 24, 1),
  PURGE_HOUR: Type.Integer({
    description: 'The daily purge begins at this hour of that time zone',
    default: 3,
    minimum: 0,
    maximum: 23,
  }),
  PURGE_BRAKE: whole(
    'A purge that would hide more recordings than this waits until a second person releases it',
    500,
    0,
  ),
  PURGE_CLOCK_MINUTES: whole(
    'A purge takes nothing while the clocks of its process, the database and the store differ by more than this',
    5,
    1,
  ),
  RETENTION_LOCK_SECONDS: whole(
    'How long the store itself protects what is in grace; 0: as long as the grace, as it should be',
    0,
  ),

  SCRATCH_DIR: text('Folder for working files', '/tmp/exhibit'),
  WORKER_JOBS: whole(
    'Jobs one worker process runs at once: so many that take footage in, and so many that people asked for',
    2,
    1,
  ),
  WORKER_RENDITIONS: whole('Recordings that one worker process makes playable at once, beside those jobs', 1, 1),
  JOB_LEASE_SECONDS: whole('A job without a heartbeat for this long is given to another worker', 60, 5),
  JOB_ATTEMPTS: whole('After this many failures a job waits for a person', 8, 1),
})

type Flat = Type.Static<typeof Environment>
export type Config = Omit<Flat, 'LEDGER_WITNESSES' | 'REASON_CODES' | 'REASON_RULE'> & {
  LEDGER_WITNESSES: ConfiguredWitness[]
  REASON_CODES: Record<string, string[]>
  REASON_RULE: Record<string, 'off' | 'optional' | 'required'>
}

export class ConfigError extends Error {}

const ReasonCodes = Type.Record(Type.String(), Type.Array(Type.String({ minLength: 1 })))
const ReasonRule = Type.Record(
  Type.String(),
  Type.Union([Type.Literal('off'), Type.Literal('optional'), Type.Literal('required')]),
)

const fromJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isTimeZone = (name: string): boolean => {
  try {
    Temporal.Now.zonedDateTimeISO(name)
    return true
  } catch {
    return false
  }
}

/**
 * The configuration, from variables such as `process.env`. Empty variables count as absent.
 * Throws ConfigError naming each variable that is missing or wrong, never its value.
 */
export const readConfig = (env: Record<string, string | undefined>): Config => {
  const given = Object.fromEntries(
    Object.keys(Environment.properties).flatMap((name) => {
      const value = env[name]
      return value === undefined || value === '' ? [] : [[name, value]]
    }),
  )
  const flat: unknown = Value.Convert(Environment, Value.Default(Environment, given))
  if (!Value.Check(Environment, flat)) {
    const wrong = new Set(
      Value.Errors(Environment, flat).flatMap((error) =>
        error.keyword === 'required' ? error.params.requiredProperties : [error.instancePath.slice(1)],
      ),
    )
    throw new ConfigError(
      `These environment variables are missing or wrong: ${[...wrong].join(', ')}. See .env.example for what each means.`,
    )
  }
  if (!isTimeZone(flat.RETENTION_TIME_ZONE))
    throw new ConfigError('RETENTION_TIME_ZONE is no time zone, such as Europe/London.')
  const witnesses = parseWitnesses(flat.LEDGER_WITNESSES)
  if (witnesses === null)
    throw new ConfigError(
      'LEDGER_WITNESSES is not a list of `<vkey> <url>` separated by commas, each the key of a witness (type 0x04) and its http or https address, none twice.',
    )
  const codes = fromJson(flat.REASON_CODES)
  if (!Value.Check(ReasonCodes, codes))
    throw new ConfigError('REASON_CODES is not JSON of the form {"role": ["code"]}.')
  const rule = fromJson(flat.REASON_RULE)
  if (!Value.Check(ReasonRule, rule))
    throw new ConfigError('REASON_RULE is not JSON of the form {"role": "off"}, with off, optional or required.')
  return { ...flat, LEDGER_WITNESSES: witnesses, REASON_CODES: codes, REASON_RULE: rule }
}
