import { sql } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { iso } from '../../base/time.ts'
import { ConfigError } from '../../engines/config.ts'
import type { Engines } from '../../engines/engines.ts'
import { type Db, inTransaction, type Tx } from '../../engines/postgres.ts'
import type { PublicJwk, ReceiptKey } from '../../engines/receipt-key.ts'
import { readKeyOf } from '../../engines/signing-key.ts'
import { record } from '../record.ts'

const Jwk = Type.Object({ kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Type.String() })

export type PublishedKey = PublicJwk & { kid: string; use: 'sig'; alg: 'EdDSA'; from: string; to?: string }
type Signing = Pick<Engines, 'clock' | 'config' | 'receiptKey'>

/**
 * Until the transaction ends: whoever signs shares it, whoever rotates has it alone. Those who come wait in turn, so that
 * neither keeps the other out for ever.
 */
export const lockReceiptKeys = async (tx: Tx, how: 'shared' | 'alone'): Promise<void> => {
  const lock = sql.raw(how === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock')
  await sql`select ${lock}(hashtextextended('exhibit receipt key', 0))`.execute(tx)
}

/** The one key that is not retired; undefined until the first process that signs has started. */
export const currentReceiptKey = async (db: Db | Tx): Promise<{ kid: string; x: string } | undefined> => {
  const row = await db.selectFrom('receiptKeys').select(['kid', 'jwk']).where('toAt', 'is', null).executeTakeFirst()
  return row === undefined ? undefined : { kid: row.kid, x: Value.Parse(Jwk, row.jwk).x }
}

/** The key of this process becomes the first one, where there is none. A retired one never comes back. */
const publishFirst = async (tx: Tx, { clock, receiptKey }: Signing): Promise<void> => {
  const { kid, publicJwk } = receiptKey
  const made = await tx
    .insertInto('receiptKeys')
    .values({ kid, jwk: JSON.stringify(publicJwk), fromAt: clock.now() })
    .onConflict((oc) => oc.doNothing())
    .returning('kid')
    .executeTakeFirst()
  if (made === undefined) return
  await record(tx, clock, {
    operation: 'administration',
    action: 'key.published',
    subject: { type: 'key', id: kid },
    actor: { kind: 'service', id: 'exhibit' },
    detail: { use: 'receipts' },
  })
}

/**
 * The key that signs receipts and proofs of erasure now, whatever this process started with. It stays in force until the
 * caller's transaction ends: a rotation waits for that, and nothing is ever signed with a retired key. Take it before the
 * time that is signed. Throws ConfigError, in words, when this machine has not got it: a job is then tried again.
 */
export const signingKey = async (tx: Tx, engines: Signing): Promise<ReceiptKey> => {
  await lockReceiptKeys(tx, 'shared')
  let current = await currentReceiptKey(tx)
  if (current === undefined) {
    await publishFirst(tx, engines)
    current = await currentReceiptKey(tx)
  }
  const { config, receiptKey } = engines
  if (current === undefined)
    throw new ConfigError(`The key in ${config.RECEIPT_KEY_FILE} is retired, and no other was ever put in its place.`)
  return current.kid === receiptKey.kid ? receiptKey : await readKeyOf(config.RECEIPT_KEY_FILE, current.x)
}

/**
 * Publishes the key of this process if it is the first of the installation. Called at the start of each process; one whose
 * file holds another key than the one in force starts all the same, says so, and signs nothing.
 */
export const registerReceiptKey = async (engines: Signing & Pick<Engines, 'db' | 'log'>): Promise<void> => {
  try {
    await inTransaction(engines.db, async (tx) => await signingKey(tx, engines))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    engines.log.error(`No receipt can be signed here. ${error.message}`)
  }
}

/** Every receipt key that ever was, oldest first: a receipt stays verifiable for ever. */
export const publishedKeys = async (db: Db): Promise<PublishedKey[]> => {
  const rows = await db.selectFrom('receiptKeys').selectAll().orderBy('fromAt').orderBy('kid').execute()
  return rows.map(({ kid, jwk, fromAt, toAt }) => ({
    ...Value.Parse(Jwk, jwk),
    kid,
    use: 'sig',
    alg: 'EdDSA',
    from: iso(fromAt),
    ...(toAt === null ? {} : { to: iso(toAt) }),
  }))
}
