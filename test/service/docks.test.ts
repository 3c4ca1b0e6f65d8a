import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CameraSerial, newId } from '../../src/base/ids.ts'
import { Problem } from '../../src/base/problem.ts'
import { cameraKnown, dockStillMay } from '../../src/docks/queries.ts'
import { type Db, inTransaction } from '../../src/engines/postgres.ts'
import { thumbprint } from '../../src/engines/receipt-key.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { makeDockKey } from '../tokens.ts'

let test: TestApi

beforeAll(async () => {
  test = await startTestApi()
})
afterAll(async () => await test[Symbol.asyncDispose]())

const admin = async (method: string, path: string, json?: unknown) =>
  await test.as('admin', method, `/api/v1${path}`, json)

/** The entries about a subject, oldest first: what was done, and the details. */
const entriesAbout = async (subject: string) => {
  const rows = await test.engines.db
    .selectFrom('entryBodies')
    .select(['action', 'parts'])
    .where('subjectId', '=', subject)
    .orderBy('id')
    .execute()
  return rows.map(({ action, parts }) => ({ action, detail: parts.detail?.value, purpose: parts.purpose?.value }))
}

const codeOf = async (work: Promise<unknown>): Promise<string | undefined> =>
  await work.then(
    () => undefined,
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  )

/** Waits until a statement of another connection stands behind a lock, and gives it. */
const waitsForLock = async (db: Db) => {
  for (;;) {
    const found = await sql`
      select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
    if (found.rows.length > 0) return found
  }
}

let cameras = 0
const newCamera = async (): Promise<CameraSerial> => {
  cameras += 1
  const serial = `BWC-${cameras}` as CameraSerial
  expect((await admin('POST', '/cameras', { serial, model: 'Sentinel 2' })).status).toBe(201)
  return serial
}

describe('a dock', () => {
  it('is enrolled under its public key, with an entry', async () => {
    const { publicKey } = makeDockKey()
    const { status, body } = await admin('POST', '/docks', { name: 'Desk 1', site: 'Central', publicKey })
    expect(status).toBe(201)
    const id = body instanceof Object && 'id' in body ? String(body.id) : ''
    const print = await thumbprint(publicKey)
    expect(await entriesAbout(id)).toEqual([
      { action: 'dock.enrolled', detail: { name: 'Desk 1', site: 'Central', thumbprint: print } },
    ])
    const { body: list } = await admin('GET', '/docks?limit=200')
    expect(list).toMatchObject({
      items: expect.arrayContaining([
        { id, name: 'Desk 1', site: 'Central', thumbprint: print, enrolledAt: expect.any(String) },
      ]),
      nextCursor: null,
    })
  })

  it('may send a key that says more than its bytes, of which only the key is kept', async () => {
    const { publicKey } = makeDockKey()
    const said = { ...publicKey, kid: 'mine', use: 'sig', alg: 'EdDSA' }
    const { body } = await admin('POST', '/docks', { name: 'Desk', site: 'Central', publicKey: said })
    const id = body instanceof Object && 'id' in body ? String(body.id) : ''
    const rows = await test.engines.db.selectFrom('docks').select(['id', 'publicKey']).execute()
    expect(rows.find((row) => row.id === id)?.publicKey).toEqual(publicKey)
  })

  it('that sends its private key, or something that is no key, is refused', async () => {
    const { publicKey, privateKey } = makeDockKey()
    const keys = [
      privateKey.export({ format: 'jwk' }),
      { ...publicKey, x: 'short' },
      { ...publicKey, kty: 'RSA' },
      'text',
    ]
    for (const key of keys) {
      const answer = await admin('POST', '/docks', { name: 'Desk', site: 'Central', publicKey: key })
      expect(answer).toMatchObject({ status: 400, body: { code: 'bad-request' } })
    }
  })

  it('gets a new key once, however often it is put', async () => {
    const { id, key } = await test.enrol()
    const { publicKey } = makeDockKey()
    for (let n = 0; n < 3; n += 1) expect((await admin('PUT', `/docks/${id}/key`, { publicKey })).status).toBe(200)
    const detail = { before: await thumbprint(key.publicKey), thumbprint: await thumbprint(publicKey) }
    expect((await entriesAbout(id)).slice(1)).toEqual([{ action: 'dock.key-replaced', detail }])
  })

  it('is suspended and resumed with one entry each, and the reason that was given', async () => {
    const { id } = await test.enrol()
    await admin('POST', `/docks/${id}/suspension`, { reason: 'Missing since Monday' })
    await admin('POST', `/docks/${id}/suspension`)
    await admin('DELETE', `/docks/${id}/suspension`)
    await admin('DELETE', `/docks/${id}/suspension`)
    expect((await entriesAbout(id)).slice(1)).toEqual([
      { action: 'dock.suspended', purpose: 'Missing since Monday' },
      { action: 'dock.resumed' },
    ])
  })

  it('nobody enrolled cannot be changed', async () => {
    const { publicKey } = makeDockKey()
    expect(await admin('PUT', `/docks/${newId()}/key`, { publicKey })).toMatchObject({ status: 404 })
    expect(await admin('POST', `/docks/${newId()}/suspension`)).toMatchObject({ status: 404 })
  })

  it('list comes in pages, each dock once', async () => {
    for (let n = 0; n < 3; n += 1) await test.enrol()
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body } = await admin('GET', `/docks?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
      if (!(body instanceof Object && 'items' in body && 'nextCursor' in body && Array.isArray(body.items))) break
      seen.push(...body.items.map((item: { id: string }) => item.id))
      cursor = typeof body.nextCursor === 'string' ? body.nextCursor : null
    }
    const rows = await test.engines.db.selectFrom('docks').select('id').orderBy('id').execute()
    expect(seen).toEqual(rows.map((row) => row.id))
  })
})

describe('what is acknowledged to a dock', () => {
  const still = async (dock: { id: Parameters<typeof dockStillMay>[1]['id']; thumbprint: string }) =>
    await codeOf(inTransaction(test.engines.db, async (tx) => await dockStillMay(tx, dock)))

  it('asks in its own transaction whether the dock still may', async () => {
    const { id, key } = await test.enrol()
    const dock = { id, thumbprint: await thumbprint(key.publicKey) }
    expect(await still(dock)).toBeUndefined()
    await admin('POST', `/docks/${id}/suspension`)
    expect(await still(dock)).toBe('suspended')
    await admin('DELETE', `/docks/${id}/suspension`)
    await admin('PUT', `/docks/${id}/key`, { publicKey: makeDockKey().publicKey })
    expect(await still(dock)).toBe('token-invalid')
  })

  it('holds off a suspension until it is committed', async () => {
    const { id, key } = await test.enrol()
    const dock = { id, thumbprint: await thumbprint(key.publicKey) }
    const order: string[] = []
    const suspension = await inTransaction(test.engines.db, async (tx) => {
      await dockStillMay(tx, dock)
      const suspending = admin('POST', `/docks/${id}/suspension`).then(() => order.push('suspended'))
      const { rows } = await waitsForLock(test.engines.db)
      expect(rows).toHaveLength(1)
      order.push('committed')
      return { suspending }
    })
    await suspension.suspending
    expect(order).toEqual(['committed', 'suspended'])
  })
})

describe('a camera', () => {
  it('that nobody registered is accepted onto a work list, until it is registered', async () => {
    const { db, config, clock } = test.engines
    const serial = 'BWC-NEW' as CameraSerial
    await inTransaction(db, async (tx) => await cameraKnown(tx, config, clock, serial))
    await inTransaction(db, async (tx) => await cameraKnown(tx, config, clock, serial))
    const onList = async () => await admin('GET', '/cameras?confirmed=false')
    expect(await onList()).toMatchObject({
      body: { items: [{ serial, confirmed: false, firstSeenAt: expect.any(String) }], nextCursor: null },
    })
    const registered = await admin('POST', '/cameras', { serial, model: 'Sentinel 2' })
    expect(registered).toMatchObject({ status: 201, body: { serial, model: 'Sentinel 2', confirmed: true } })
    expect(await onList()).toMatchObject({ body: { items: [] } })
    expect(await entriesAbout(serial)).toEqual([{ action: 'camera.registered', detail: { model: 'Sentinel 2' } }])
  })

  it('is registered once', async () => {
    const serial = await newCamera()
    expect(await admin('POST', '/cameras', { serial, model: 'Other' })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
  })

  it('that nobody registered is refused where the configuration says so', async () => {
    const { db, clock } = test.engines
    const config = { ...test.engines.config, UNKNOWN_CAMERAS: 'refuse' as const }
    const known = async (serial: CameraSerial) =>
      await codeOf(inTransaction(db, async (tx) => await cameraKnown(tx, config, clock, serial)))
    expect(await known('BWC-STRANGE' as CameraSerial)).toBe('camera-unknown')
    expect(await known(await newCamera())).toBeUndefined()
  })

  it('list comes in pages by serial', async () => {
    await newCamera()
    await newCamera()
    const { body } = await admin('GET', '/cameras?limit=1')
    const first = body instanceof Object && 'nextCursor' in body ? body.nextCursor : undefined
    const next = await admin('GET', `/cameras?limit=1&cursor=${first}`)
    expect(next.body).toMatchObject({ items: [{ confirmed: true }] })
    expect(next.body).not.toEqual(body)
  })
})

describe('an assignment', () => {
  const assign = async (serial: string, officer: string, from: string, to?: string) =>
    await admin('PUT', `/cameras/${encodeURIComponent(serial)}/assignment`, {
      officer,
      from,
      ...(to === undefined ? {} : { to }),
    })
  const spans = async (serial: CameraSerial) =>
    (
      await test.engines.db
        .selectFrom('assignments')
        .select(['officer', 'during'])
        .where('camera', '=', serial)
        .execute()
    )
      .map(({ officer, during }) => `${officer} ${during.replaceAll(/["+]|00:00:00|:00/g, '').replaceAll(/ 00/g, '')}`)
      .sort()

  it('ends the open one where it begins, with an entry that names the officer in a sealed part', async () => {
    const serial = await newCamera()
    expect(await assign(serial, '4217', '2026-11-01T00:00:00Z')).toMatchObject({
      status: 200,
      body: { camera: serial, officer: '4217', from: '2026-11-01T00:00:00.000Z' },
    })
    expect((await assign(serial, '9001', '2026-11-10T00:00:00+00:00', '2026-11-20T00:00:00Z')).status).toBe(200)
    const rows = await spans(serial)
    expect(rows).toHaveLength(2)
    expect(rows[0]).toMatch(/^4217 \[2026-11-01.*,2026-11-10/)
    expect(rows[1]).toMatch(/^9001 \[2026-11-10.*,2026-11-20/)
    expect((await entriesAbout(serial)).slice(1)).toEqual([
      { action: 'camera.assigned', detail: { officer: '4217', from: '2026-11-01T00:00:00.000Z' } },
      {
        action: 'camera.assigned',
        detail: { officer: '9001', from: '2026-11-10T00:00:00.000Z', to: '2026-11-20T00:00:00.000Z' },
      },
    ])
  })

  it('that overlaps another in any other way is a conflict, and changes nothing', async () => {
    const serial = await newCamera()
    await assign(serial, '1', '2026-11-05T00:00:00Z', '2026-11-10T00:00:00Z')
    await assign(serial, '2', '2026-11-12T00:00:00Z')
    const before = await spans(serial)
    const overlaps: [string, string?][] = [
      ['2026-11-06T00:00:00Z', '2026-11-07T00:00:00Z'],
      ['2026-11-01T00:00:00Z', '2026-11-06T00:00:00Z'],
      ['2026-11-09T00:00:00Z', '2026-11-11T00:00:00Z'],
      ['2026-11-01T00:00:00Z'],
      ['2026-11-12T00:00:00Z'],
    ]
    for (const [from, to] of overlaps) {
      expect(await assign(serial, '3', from, to), `${from} ${to}`).toMatchObject({
        status: 409,
        body: { code: 'conflict' },
      })
    }
    expect(await spans(serial)).toEqual(before)
    expect((await assign(serial, '3', '2026-11-10T00:00:00Z', '2026-11-12T00:00:00Z')).status).toBe(200)
  })

  it('may be put again without another entry', async () => {
    const serial = await newCamera()
    for (let n = 0; n < 3; n += 1) expect((await assign(serial, '7', '2026-11-01T00:00:00Z')).status).toBe(200)
    expect((await entriesAbout(serial)).map(({ action }) => action)).toEqual(['camera.registered', 'camera.assigned'])
  })

  it('is never given twice when two admins assign at once', async () => {
    const serial = await newCamera()
    const answers = await Promise.all(
      ['1', '2', '3', '4'].map(async (officer) => await assign(serial, officer, '2026-11-01T00:00:00Z')),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409])
  })

  it('needs a camera that is known and times that make sense', async () => {
    const serial = await newCamera()
    expect(await assign('NOBODY/KNOWS', '1', '2026-11-01T00:00:00Z')).toMatchObject({
      status: 404,
      body: { code: 'camera-unknown' },
    })
    const wrong: [string, string?][] = [
      ['yesterday'],
      ['2026-02-30T00:00:00Z'],
      ['2026-11-01T23:59:60Z'],
      ['2026-11-02T00:00:00Z', '2026-11-01T00:00:00Z'],
      ['2026-11-02T00:00:00Z', '2026-11-02T00:00:00Z'],
    ]
    for (const [from, to] of wrong) {
      expect(await assign(serial, '1', from, to), from).toMatchObject({ status: 400, body: { code: 'bad-request' } })
    }
  })
})
