import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type CameraSerial, type Collar, Serial } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { brokeConstraint, type Db, inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { knowOfficer } from '../people/queries.ts'
import { endOpenAssignment, insertAssignment, isAssigned, lockCamera } from './assignments.ts'
import { pageOfCameras, registerCameraRow } from './queries.ts'

type Reached = Pick<Engines, 'db' | 'clock'>
type CameraFacts = { serial: CameraSerial; model: string | null; confirmed: boolean; firstSeenAt: Date }

const view = ({ serial, model, confirmed, firstSeenAt }: CameraFacts) => ({
  serial,
  confirmed,
  firstSeenAt: iso(firstSeenAt),
  ...(model === null ? {} : { model }),
})

/** Registers a camera, which takes one that came with footage off the work list. Throws `conflict` when it is registered. */
export const registerCamera = async ({ db, clock }: Reached, by: Person, serial: CameraSerial, model: string) =>
  await inTransaction(db, async (tx) => {
    const camera = await registerCameraRow(tx, serial, model, clock.now())
    if (camera === undefined) throw new Problem('conflict', 'This camera is registered already.')
    await record(tx, clock, {
      operation: 'administration',
      action: 'camera.registered',
      subject: { type: 'camera', id: serial },
      actor: actor(by, 'camera.register'),
      detail: { model },
    })
    return view(camera)
  })

const timeOf = (text: string, name: string): Date => {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new Problem('bad-request', `${name} is not a time that exists.`)
  return at
}

const beforeConflict = (error: unknown): unknown =>
  brokeConstraint(error, 'assignments_pkey')
    ? new Problem('conflict', 'The camera is assigned for a part of that time already.')
    : error

/**
 * Assigns a camera to the officer of a collar number, from a time on and until `to` if given. An open assignment ends
 * where this one begins; any other overlap throws `conflict`. An assignment that is there already is left as it is.
 */
export const assignCamera = async (
  { db, clock }: Reached,
  by: Person,
  camera: CameraSerial,
  wanted: { officer: Collar; from: string; to?: string },
) => {
  const { officer } = wanted
  const span = { from: timeOf(wanted.from, 'from'), to: wanted.to === undefined ? null : timeOf(wanted.to, 'to') }
  if (span.to !== null && span.to <= span.from) throw new Problem('bad-request', 'to is not after from.')
  const times = { from: iso(span.from), ...(span.to === null ? {} : { to: iso(span.to) }) }
  await inTransaction(db, async (tx) => {
    if (!(await lockCamera(tx, camera))) throw new Problem('camera-unknown')
    if (await isAssigned(tx, camera, officer, span)) return
    await knowOfficer(tx, officer, clock.now())
    await endOpenAssignment(tx, camera, span.from)
    await insertAssignment(tx, camera, officer, span)
    await record(tx, clock, {
      operation: 'administration',
      action: 'camera.assigned',
      subject: { type: 'camera', id: camera },
      actor: actor(by, 'camera.assign'),
      detail: { officer, ...times },
    })
  }).catch((error: unknown) => {
    throw beforeConflict(error)
  })
  return { camera, officer, ...times }
}

/** One page of the cameras; `confirmed: false` is the work list of those that nobody registered. */
export const listCameras = async (
  db: Db,
  limit: number,
  cursor: string | undefined,
  confirmed: boolean | undefined,
) => {
  const [after] = cursor === undefined ? [] : decodeCursor(cursor)
  if (after !== undefined && !Value.Check(Serial, after)) throw cursorProblem()
  return cutPage(await pageOfCameras(db, limit, after, confirmed), limit, view, (camera) => [camera.serial])
}
