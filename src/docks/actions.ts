import { createPublicKey } from 'node:crypto'
import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type DockId, IdOf, newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { type Db, inTransaction, type Tx } from '../engines/postgres.ts'
import { type PublicJwk, thumbprint } from '../engines/receipt-key.ts'
import { record } from '../ledger/record.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { dockForUpdate, insertDock, pageOfDocks, setDockKey, setDockSuspended } from './queries.ts'

type Reached = Pick<Engines, 'db' | 'clock'>
type DockFacts = {
  id: DockId
  name: string
  site: string
  thumbprint: string
  enrolledAt: Date
  suspendedAt: Date | null
}

const view = ({ enrolledAt, suspendedAt, ...dock }: DockFacts) => ({
  ...dock,
  enrolledAt: iso(enrolledAt),
  ...(suspendedAt === null ? {} : { suspendedAt: iso(suspendedAt) }),
})

/** The key alone, without what else the JWK said. Throws `bad-request` for a private key and for what is no key. */
const onlyKey = (given: PublicJwk): PublicJwk => {
  if ('d' in given)
    throw new Problem(
      'bad-request',
      'This is a private key. Send its public half, and make a new key: this one was seen.',
    )
  const { kty, crv, x } = given
  try {
    createPublicKey({ key: { kty, crv, x }, format: 'jwk' })
  } catch {
    throw new Problem('bad-request', 'publicKey is not an Ed25519 key.')
  }
  if (Buffer.from(x, 'base64url').toString('base64url') !== x)
    throw new Problem('bad-request', 'publicKey.x is not base64url.')
  return { kty, crv, x }
}

const existing = async (tx: Tx, id: DockId): Promise<DockFacts> => {
  const dock = await dockForUpdate(tx, id)
  if (dock === undefined) throw new Problem('not-found', 'No dock with this id is enrolled.')
  return dock
}

/** Enrols a dock under the public half of a key it made itself. */
export const enrolDock = async (
  { db, clock }: Reached,
  by: Person,
  { name, site, publicKey }: { name: string; site: string; publicKey: PublicJwk },
): Promise<{ id: DockId }> => {
  const key = onlyKey(publicKey)
  const print = await thumbprint(key)
  const id = newId<DockId>()
  return await inTransaction(db, async (tx) => {
    await insertDock(tx, { id, name, site, publicKey: key, thumbprint: print, at: clock.now() })
    await record(tx, clock, {
      operation: 'administration',
      action: 'dock.enrolled',
      subject: { type: 'dock', id },
      actor: actor(by, 'dock.enrol'),
      detail: { name, site, thumbprint: print },
    })
    return { id }
  })
}

/** From the commit on, tokens signed with the key before are refused, in uploads under way too. */
export const replaceKey = async ({ db, clock }: Reached, by: Person, id: DockId, publicKey: PublicJwk) => {
  const key = onlyKey(publicKey)
  const print = await thumbprint(key)
  return await inTransaction(db, async (tx) => {
    const dock = await existing(tx, id)
    if (dock.thumbprint === print) return view(dock)
    await setDockKey(tx, id, key, print)
    await record(tx, clock, {
      operation: 'administration',
      action: 'dock.key-replaced',
      subject: { type: 'dock', id },
      actor: actor(by, 'dock.replace-key'),
      detail: { before: dock.thumbprint, thumbprint: print },
    })
    return view({ ...dock, thumbprint: print })
  })
}

/** Suspends a dock, or ends that, from the commit on. What is so already stays so, without an entry. */
export const setDockSuspension = async (
  { db, clock }: Reached,
  by: Person,
  id: DockId,
  suspended: boolean,
  reason: string | undefined,
): Promise<void> =>
  await inTransaction(db, async (tx) => {
    const dock = await existing(tx, id)
    if ((dock.suspendedAt !== null) === suspended) return
    await setDockSuspended(tx, id, suspended ? clock.now() : null)
    await record(tx, clock, {
      operation: 'administration',
      action: suspended ? 'dock.suspended' : 'dock.resumed',
      subject: { type: 'dock', id },
      actor: actor(by, 'dock.suspend'),
      ...(reason === undefined ? {} : { purpose: reason }),
    })
  })

/** One page of the docks. Throws `bad-request` for a foreign cursor. */
export const listDocks = async (db: Db, limit: number, cursor: string | undefined) => {
  const [after] = cursor === undefined ? [] : decodeCursor(cursor)
  if (after !== undefined && !Value.Check(IdOf.dock, after)) throw cursorProblem()
  return cutPage(await pageOfDocks(db, limit, after), limit, view, (dock) => [dock.id])
}
