import { sql } from 'kysely'
import type { CameraSerial, Collar } from '../base/ids.ts'
import type { Tx } from '../engines/postgres.ts'

/**
 * In a query on `recordings` (under its own name): whose camera it was when it recorded, by the corrected clock; null where
 * nobody's.
 */
export const officerThen = sql<Collar | null>`(
  select assignments.officer from assignments
  where assignments.camera = recordings.camera and assignments.during @> recordings.corrected_at)`

/** `to` null: until further notice. */
export type Span = { from: Date; to: Date | null }

/** Locks the camera, so that its assignments change one after the other. False when it is not known. */
export const lockCamera = async (tx: Tx, camera: CameraSerial): Promise<boolean> => {
  const row = await tx
    .selectFrom('cameras')
    .select('serial')
    .where('serial', '=', camera)
    .forUpdate()
    .executeTakeFirst()
  return row !== undefined
}

export const isAssigned = async (
  tx: Tx,
  camera: CameraSerial,
  officer: Collar,
  { from, to }: Span,
): Promise<boolean> => {
  const row = await tx
    .selectFrom('assignments')
    .select('camera')
    .where('camera', '=', camera)
    .where('officer', '=', officer)
    .where(sql<boolean>`during = tstzrange(${from}, ${to})`)
    .executeTakeFirst()
  return row !== undefined
}

/** Ends an assignment that is open and began before `at`. */
export const endOpenAssignment = async (tx: Tx, camera: CameraSerial, at: Date): Promise<void> => {
  await tx
    .updateTable('assignments')
    .set({ during: sql<string>`tstzrange(lower(during), ${at})` })
    .where('camera', '=', camera)
    .where(sql<boolean>`upper_inf(during) and lower(during) < ${at}`)
    .execute()
}

/** Breaks the constraint `assignments_pkey` when the camera is assigned for a part of that time already. */
export const insertAssignment = async (
  tx: Tx,
  camera: CameraSerial,
  officer: Collar,
  { from, to }: Span,
): Promise<void> => {
  await tx
    .insertInto('assignments')
    .values({ camera, officer, during: sql<string>`tstzrange(${from}, ${to})` })
    .execute()
}
