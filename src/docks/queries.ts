import type { CameraSerial, DockId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Clock } from '../engines/clock.ts'
import type { Config } from '../engines/config.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { PublicJwk } from '../engines/receipt-key.ts'
import type { Dock } from './dock.ts'

/** Asked at every request, so that a new key and a suspension count at once. */
export const dockByToken = async (db: Db, id: DockId) =>
  await db
    .selectFrom('docks')
    .select(['id', 'name', 'site', 'publicKey', 'thumbprint', 'suspendedAt'])
    .where('id', '=', id)
    .executeTakeFirst()

/**
 * Asks again, in the transaction that acknowledges something to the dock, whether it may still call: throws `suspended`,
 * or `token-invalid` when its key was replaced. Until the transaction ends neither can change.
 */
export const dockStillMay = async (tx: Tx, dock: Pick<Dock, 'id' | 'thumbprint'>): Promise<void> => {
  const row = await tx
    .selectFrom('docks')
    .select(['thumbprint', 'suspendedAt'])
    .where('id', '=', dock.id)
    .forShare()
    .executeTakeFirst()
  if (row === undefined || row.thumbprint !== dock.thumbprint) {
    throw new Problem('token-invalid', 'The key of this dock was replaced.')
  }
  if (row.suspendedAt !== null) throw new Problem('suspended', 'This dock is suspended.')
}

type NewDock = { id: DockId; name: string; site: string; publicKey: PublicJwk; thumbprint: string; at: Date }

export const insertDock = async (tx: Tx, { publicKey, at, ...dock }: NewDock): Promise<void> => {
  await tx
    .insertInto('docks')
    .values({ ...dock, publicKey: JSON.stringify(publicKey), enrolledAt: at })
    .execute()
}

export const dockForUpdate = async (tx: Tx, id: DockId) =>
  await tx
    .selectFrom('docks')
    .select(['id', 'name', 'site', 'thumbprint', 'enrolledAt', 'suspendedAt'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()

export const setDockKey = async (tx: Tx, id: DockId, publicKey: PublicJwk, thumbprint: string): Promise<void> => {
  await tx
    .updateTable('docks')
    .set({ publicKey: JSON.stringify(publicKey), thumbprint })
    .where('id', '=', id)
    .execute()
}

export const setDockSuspended = async (tx: Tx, id: DockId, suspendedAt: Date | null): Promise<void> => {
  await tx.updateTable('docks').set({ suspendedAt }).where('id', '=', id).execute()
}

/** One page of docks in the order of their enrolment: those after `after`, one more than `limit` if there are more. */
export const pageOfDocks = async (db: Db, limit: number, after: DockId | undefined) =>
  await db
    .selectFrom('docks')
    .select(['id', 'name', 'site', 'thumbprint', 'enrolledAt', 'suspendedAt'])
    .where((eb) => (after === undefined ? eb.lit(true) : eb('id', '>', after)))
    .orderBy('id')
    .limit(limit + 1)
    .execute()

/**
 * Makes sure the camera is known: a serial that nobody registered becomes an unconfirmed camera on the work list, or,
 * where UNKNOWN_CAMERAS says so, throws `camera-unknown`.
 */
export const cameraKnown = async (tx: Tx, config: Config, clock: Clock, serial: CameraSerial): Promise<void> => {
  const camera = await tx.selectFrom('cameras').select('confirmed').where('serial', '=', serial).executeTakeFirst()
  if (camera?.confirmed === true) return
  if (config.UNKNOWN_CAMERAS === 'refuse') throw new Problem('camera-unknown')
  if (camera !== undefined) return
  await tx
    .insertInto('cameras')
    .values({ serial, model: null, confirmed: false, firstSeenAt: clock.now() })
    .onConflict((oc) => oc.column('serial').doNothing())
    .execute()
}

/** Registers a camera, or confirms one that came with footage. Null when it was registered before. */
export const registerCameraRow = async (tx: Tx, serial: CameraSerial, model: string, at: Date) =>
  await tx
    .insertInto('cameras')
    .values({ serial, model, confirmed: true, firstSeenAt: at })
    .onConflict((oc) =>
      oc.column('serial').doUpdateSet({ model, confirmed: true }).where('cameras.confirmed', '=', false),
    )
    .returning(['serial', 'model', 'confirmed', 'firstSeenAt'])
    .executeTakeFirst()

/** One page of cameras by serial. */
export const pageOfCameras = async (
  db: Db,
  limit: number,
  after: CameraSerial | undefined,
  confirmed: boolean | undefined,
) =>
  await db
    .selectFrom('cameras')
    .select(['serial', 'model', 'confirmed', 'firstSeenAt'])
    .where((eb) =>
      eb.and([
        ...(after === undefined ? [] : [eb('serial', '>', after)]),
        ...(confirmed === undefined ? [] : [eb('confirmed', '=', confirmed)]),
      ]),
    )
    .orderBy('serial')
    .limit(limit + 1)
    .execute()
