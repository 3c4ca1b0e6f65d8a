import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CameraSerial,
  type Collar,
  newId,
  type PersonId,
  type RecordingId,
  type UploadId,
} from '../../src/base/ids.ts'
import type { Person } from '../../src/people/person.ts'
import { type Role, roles } from '../../src/people/role.ts'
import { visibleTo } from '../../src/people/visibility.ts'
import { startTestApi, type TestApi } from '../api.ts'

let test: TestApi

beforeAll(async () => {
  test = await startTestApi()
})
afterAll(async () => await test[Symbol.asyncDispose]())

const me = async (claims: Record<string, unknown>, role: Role = 'officer') =>
  await test.ask('GET', '/api/v1/me', { token: await test.issuer.tokenFor(role, claims) })
const idIn = (body: unknown): string => (body instanceof Object && 'id' in body ? String(body.id) : '')
const rowOf = async (subject: string) =>
  await test.engines.db
    .selectFrom('people')
    .select(['id', 'name', 'collar', 'suspendedAt'])
    .where('subject', '=', subject)
    .executeTakeFirstOrThrow()
const actionsAbout = async (id: string) => {
  const rows = await test.engines.db
    .selectFrom('entryBodies')
    .select(['action', 'parts'])
    .where('subjectId', '=', id)
    .orderBy('id')
    .execute()
  return rows.map(({ action, parts }) => ({ action, detail: parts.detail?.value, purpose: parts.purpose?.value }))
}
const assign = async (serial: string, officer: string, from: string, to?: string) => {
  await test.as('admin', 'POST', '/api/v1/cameras', { serial, model: 'Sentinel' })
  const put = await test.as('admin', 'PUT', `/api/v1/cameras/${serial}/assignment`, {
    officer,
    from,
    ...(to === undefined ? {} : { to }),
  })
  expect(put.status).toBe(200)
}
const accountOf = async (collar: string) =>
  await test.engines.db
    .selectFrom('officers')
    .select('person')
    .where('collar', '=', collar as Collar)
    .executeTakeFirst()

describe('a person', () => {
  it('becomes an account at first sight, once, however many requests come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await me({ sub: 'new', name: 'Asha Rao' })))
    expect(new Set(answers.map(({ body }) => idIn(body))).size).toBe(1)
    expect(answers[0]?.body).toEqual({ id: expect.any(String), name: 'Asha Rao', roles: ['officer'] })
    expect(await actionsAbout(idIn(answers[0]?.body))).toEqual([{ action: 'person.first-seen' }])
  })

  it('goes by the name and collar number of the latest token; a token without a name leaves it', async () => {
    await me({ sub: 'married', name: 'B. Before', collar_number: '55' })
    await me({ sub: 'married', name: 'B. After', collar_number: '56' })
    expect(await rowOf('married')).toMatchObject({ name: 'B. After', collar: '56' })
    const { body } = await me({ sub: 'married', name: undefined, collar_number: '56' })
    expect(body).toMatchObject({ name: 'B. After', collar: '56' })
  })

  it('has the roles of the token, of which unknown ones count for nothing', async () => {
    const { body } = await me({ sub: 'many', roles: ['auditor', 'janitor', 'admin', 'auditor', 3] })
    expect(body).toMatchObject({ roles: ['auditor', 'admin'] })
  })

  it('without a usable name is called by the subject of the token', async () => {
    const { body } = await me({ sub: 'plain', name: ' ' })
    expect(body).toMatchObject({ name: 'plain' })
  })

  it('is joined to the officer of their collar number when they first sign in', async () => {
    await assign('CAM-J1', '7001', '2026-11-01T00:00:00Z')
    expect(await accountOf('7001')).toEqual({ person: null })
    const id = idIn((await me({ sub: 'joins', collar_number: '7001' })).body)
    expect(await accountOf('7001')).toEqual({ person: id })
    expect(await actionsAbout(id)).toEqual([{ action: 'person.first-seen', detail: { officer: '7001' } }])
  })

  it('who signed in before the officer was known is joined with the first assignment', async () => {
    const id = idIn((await me({ sub: 'early', collar_number: '7002' })).body)
    await assign('CAM-J2', '7002', '2026-11-01T00:00:00Z')
    expect(await accountOf('7002')).toEqual({ person: id })
  })

  it('is suspended from the next request on, with one entry and its reason', async () => {
    const id = idIn((await me({ sub: 'gone' })).body)
    const path = `/api/v1/people/${id}/suspension`
    for (let n = 0; n < 2; n += 1)
      expect((await test.as('admin', 'POST', path, { reason: 'Left the force' })).status).toBe(204)
    expect(await me({ sub: 'gone' })).toMatchObject({ status: 403, body: { code: 'suspended' } })
    for (let n = 0; n < 2; n += 1) expect((await test.as('admin', 'DELETE', path)).status).toBe(204)
    expect((await me({ sub: 'gone' })).status).toBe(200)
    expect(await actionsAbout(id)).toEqual([
      { action: 'person.first-seen' },
      { action: 'person.suspended', purpose: 'Left the force' },
      { action: 'person.resumed' },
    ])
  })

  it('nobody has seen cannot be suspended', async () => {
    expect(await test.as('admin', 'POST', `/api/v1/people/${newId()}/suspension`)).toMatchObject({
      status: 404,
      body: { code: 'not-found' },
    })
  })

  it('is on the list of those who signed in', async () => {
    const id = idIn((await me({ sub: 'listed', name: 'Lee Listed' })).body)
    const { body } = await test.as('admin', 'GET', '/api/v1/people?limit=200')
    expect(body).toMatchObject({
      items: expect.arrayContaining([{ id, name: 'Lee Listed', firstSeenAt: expect.any(String) }]),
    })
  })
})

describe('who may see a recording', () => {
  const recorded = async (camera: CameraSerial, recordedAt: string, correctedAt = recordedAt): Promise<RecordingId> => {
    const { id: dock } = await test.enrol()
    const [id, upload] = [newId<RecordingId>(), newId<UploadId>()]
    const at = new Date()
    const file = { dock, camera, filename: 'a.mp4', size: 1, sha256: null, recordedAt: new Date(recordedAt) }
    await test.engines.db
      .insertInto('uploads')
      .values({
        ...file,
        id: upload,
        recording: id,
        metadata: '{}',
        partSize: 1,
        state: 'stored',
        multipart: null,
        createdAt: at,
        expiresAt: at,
      })
      .execute()
    await test.engines.db
      .insertInto('recordings')
      .values({
        ...file,
        id,
        upload,
        clockOffset: null,
        correctedAt: new Date(correctedAt),
        receivedAt: at,
        status: 'received',
        quarantinedBecause: null,
        duplicateOf: null,
        category: null,
        incident: null,
        number: null,
        sequence: null,
        duration: null,
        mediaType: null,
        objectVersion: null,
      })
      .execute()
    return id
  }
  const someone = (role: Role, collar?: string): Person => ({
    id: newId<PersonId>(),
    name: 'A',
    roles: [role],
    ...(collar === undefined ? {} : { collar: collar as Collar }),
  })
  const seenBy = async (person: Person): Promise<RecordingId[]> =>
    (await test.engines.db.selectFrom('recordings').select('id').where(visibleTo(person)).orderBy('id').execute()).map(
      ({ id }) => id,
    )

  it('is decided by the role, and for officers by the assignment at the corrected time', async () => {
    await assign('CAM-V1', '8001', '2026-11-01T00:00:00Z')
    await assign('CAM-V1', '8002', '2026-11-10T00:00:00Z')
    await assign('CAM-V2', '8001', '2026-11-05T00:00:00Z', '2026-11-06T00:00:00Z')
    const [one, two] = ['CAM-V1' as CameraSerial, 'CAM-V2' as CameraSerial]
    const first = await recorded(one, '2026-11-03T00:00:00Z')
    const onTheEdge = await recorded(one, '2026-11-10T00:00:00Z')
    const slowClock = await recorded(one, '2026-11-09T23:00:00Z', '2026-11-10T01:00:00Z')
    const within = await recorded(two, '2026-11-05T12:00:00Z')
    const unassigned = await recorded(two, '2026-11-07T00:00:00Z')

    expect(await seenBy(someone('officer', '8001'))).toEqual([first, within])
    expect(await seenBy(someone('officer', '8002'))).toEqual([onTheEdge, slowClock])
    expect(await seenBy(someone('officer', '8003'))).toEqual([])
    expect(await seenBy(someone('officer'))).toEqual([])
    const all = [first, onTheEdge, slowClock, within, unassigned]
    for (const role of roles.filter((each) => each !== 'officer')) {
      const sees = !['admin', 'auditor'].includes(role)
      expect(await seenBy(someone(role, '8001')), role).toEqual(sees ? all : [])
    }
    expect(await seenBy({ ...someone('officer', '8001'), roles: ['officer', 'investigator'] })).toEqual(all)
  })
})
