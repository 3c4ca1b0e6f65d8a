import { randomBytes } from 'node:crypto'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { type NoteKey, noteKey, vkeyOf } from '../../base/note.ts'
import { iso } from '../../base/time.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow, SealedParts } from '../../engines/ledger-tables.ts'
import { type Db, inTransaction, type Tx } from '../../engines/postgres.ts'
import { readKeyFile } from '../../engines/receipt-key.ts'
import { record } from '../record.ts'
import { firstEntries } from './queries.ts'

const Jwk = Type.Object({ kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Type.String() })

/** The log that grows; undefined until the first worker has begun it. */
export const currentLog = async (db: Db): Promise<LogRow | undefined> =>
  await db.selectFrom('logs').selectAll().where('toAt', 'is', null).executeTakeFirst()

export const logByNumber = async (db: Db, number: number): Promise<LogRow> =>
  await db.selectFrom('logs').selectAll().where('number', '=', number).executeTakeFirstOrThrow()

/** Every log there ever was, the oldest first. */
export const allLogs = async (db: Db): Promise<LogRow[]> =>
  await db.selectFrom('logs').selectAll().orderBy('number').execute()

/** An entry as it is disclosed: its detail, and who acted is withheld. */
type Rotation = { entry: object; salt: string; parts: SealedParts }

/** What outsiders need to know of a log; times are RFC 3339. */
export type PublishedLog = {
  number: number
  origin: string
  vkey: string
  from: string
  to?: string
  /** Its first leaf, which names the last checkpoint of the log before it. */
  rotation?: Rotation
}

/** By the number of the log that it began. */
const rotations = async (db: Db): Promise<Map<number, Rotation>> => {
  const rows = await firstEntries(db)
  return new Map(
    rows.flatMap(({ log, action, entry, salt, parts: { detail } }) =>
      action !== 'log.rotated' || entry === null || salt === null || detail === undefined
        ? []
        : [[log, { entry: Object(JSON.parse(entry)), salt: salt.toString('hex'), parts: { detail } }]],
    ),
  )
}

export const publishedLogs = async (db: Db): Promise<PublishedLog[]> => {
  const logs = await allLogs(db)
  const begun = logs.length > 1 ? await rotations(db) : new Map<number, Rotation>()
  return logs.map((log) => {
    const rotation = begun.get(log.number)
    return {
      number: log.number,
      origin: log.origin,
      vkey: vkeyOf(logKeyOf(log)),
      from: iso(log.fromAt),
      ...(log.toAt === null ? {} : { to: iso(log.toAt) }),
      ...(rotation === undefined ? {} : { rotation }),
    }
  })
}

/** The `x` of the log's public JWK. */
export const publicX = (log: Pick<LogRow, 'jwk'>): string => Value.Parse(Jwk, log.jwk).x

/** What verifies the log's checkpoints: its name is the origin (C2SP tlog-checkpoint). */
export const logKeyOf = (log: Pick<LogRow, 'origin' | 'jwk'>): NoteKey =>
  noteKey(log.origin, 1, Buffer.from(publicX(log), 'base64url'))

const kept = (tx: Tx) => tx.selectFrom('logs').select('number').executeTakeFirst()

/**
 * The log's birth, by the first worker that ever starts: its origin and its key are fixed here. Does nothing where there is
 * a log. Throws ConfigError when LOG_KEY_FILE holds no key.
 */
export const beginLog = async (engines: Pick<Engines, 'db' | 'clock' | 'config'>): Promise<void> => {
  const { db, clock, config } = engines
  if ((await currentLog(db)) !== undefined) return
  const { publicJwk, kid } = await readKeyFile(config.LOG_KEY_FILE)
  const origin = config.LOG_ORIGIN ?? `exhibit.local/${randomBytes(8).toString('hex')}`
  const jwk = JSON.stringify(publicJwk)
  const vkey = vkeyOf(logKeyOf({ origin, jwk: publicJwk }))
  await inTransaction(db, async (tx) => {
    if ((await kept(tx)) !== undefined) return
    const made = await tx
      .insertInto('logs')
      .values({ number: 1, origin, jwk, fromAt: clock.now() })
      .onConflict((oc) => oc.doNothing())
      .returning('number')
      .executeTakeFirst()
    if (made === undefined) return
    await record(tx, clock, {
      operation: 'administration',
      action: 'log.begun',
      subject: { type: 'key', id: kid },
      actor: { kind: 'service', id: 'exhibit' },
      detail: { origin, vkey },
    })
  })
}
