import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { type Db, inTransaction } from '../engines/postgres.ts'
import type { PublicJwk } from '../engines/receipt-key.ts'
import { record } from './record.ts'

const Jwk = Type.Object({ kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Type.String() })

export type PublishedKey = PublicJwk & { kid: string; use: 'sig'; alg: 'EdDSA'; from: string; to?: string }

/**
 * Publishes the key with which this process signs receipts, before it signs the first. A key that is known is left as it
 * is. Called at the start of each process that signs.
 */
export const registerReceiptKey = async ({
  db,
  clock,
  receiptKey,
}: Pick<Engines, 'db' | 'clock' | 'receiptKey'>): Promise<void> =>
  await inTransaction(db, async (tx) => {
    const { kid, publicJwk } = receiptKey
    const made = await tx
      .insertInto('receiptKeys')
      .values({ kid, jwk: JSON.stringify(publicJwk), fromAt: clock.now() })
      .onConflict((oc) => oc.column('kid').doNothing())
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
  })

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
