import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/base/cursor.ts'
import { type CameraSerial, type Collar, newId, type RecordingId } from '../../src/base/ids.ts'
import type { Person } from '../../src/people/person.ts'
import { listRecordings, readRecording } from '../../src/recordings/actions.ts'
import { statuses } from '../../src/recordings/recording.ts'
import type { RecordingsQuery } from '../../src/recordings/schemas.ts'
import { assign, catalogued, entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf } from '../footsteps.ts'

let engines: TestEngines
let investigator: Person

beforeAll(async () => {
  engines = await testEngines()
  investigator = await someone(engines, ['investigator'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const found = async (query: RecordingsQuery, person = investigator): Promise<RecordingId[]> =>
  (await listRecordings(engines, person, query)).items.map(({ id }) => id)

const on = (camera: string): RecordingsQuery => ({ camera: camera as CameraSerial })

describe('the list of recordings', () => {
  test('is newest first, and each filter narrows it', async () => {
    const camera = 'FILTER'
    const made = async (hour: number, more: Parameters<typeof catalogued>[1] = {}) =>
      await catalogued(engines, { camera, recordedAt: new Date(Date.UTC(2026, 10, 25, hour)), ...more })
    const early = await made(8, { category: 'arrest', incident: 'I-1', sequence: 'S-1' })
    const late = await made(20, { category: 'arrest', incident: 'I-2' })
    const noon = await made(12, { category: 'stop', incident: 'I-1', sequence: 'S-1' })
    const other = await catalogued(engines, { camera: 'FILTER-2', category: 'arrest' })
    await assign(engines, camera, 'PC7', '2026-11-25T00:00:00Z', '2026-11-25T10:00:00Z')
    await assign(engines, camera, 'PC8', '2026-11-25T10:00:00Z', null)

    expect(await found(on(camera))).toEqual([late, noon, early])
    expect(await found({ ...on(camera), category: 'arrest' })).toEqual([late, early])
    expect(await found({ category: 'arrest' })).toEqual(expect.arrayContaining([late, early, other]))
    expect(await found({ incident: 'I-1' })).toEqual([noon, early])
    expect(await found({ sequence: 'S-1', category: 'stop' })).toEqual([noon])
    expect(await found({ officer: 'PC7' as Collar })).toEqual([early])
    expect(await found({ officer: 'PC8' as Collar })).toEqual([late, noon])
    expect(await found({ officer: 'PC9' as Collar })).toEqual([])
    const span = { from: '2026-11-25T08:00:00Z', to: '2026-11-25T20:00:00+00:00' }
    expect(await found({ ...on(camera), ...span })).toEqual([noon, early])
    expect(await found({ ...on(camera), from: '2026-11-25T12:00:00.001Z' })).toEqual([late])
    expect(await found({ ...on(camera), from: span.to, to: span.from })).toEqual([])
    expect(await found({ category: `x' or true --` })).toEqual([])
  })

  test('shows what is in custody or in quarantine, and any other status only when asked for it', async () => {
    const camera = 'STATUS'
    const ids = new Map<string, RecordingId>()
    for (const status of statuses) ids.set(status, await catalogued(engines, { camera, status }))
    expect(new Set(await found(on(camera)))).toEqual(
      new Set(['verified', 'active', 'quarantined', 'due'].map((status) => ids.get(status))),
    )
    for (const status of statuses) expect(await found({ ...on(camera), status })).toEqual([ids.get(status)])
  })

  test('never shows the second object of a file that was sent twice', async () => {
    const first = await catalogued(engines, { camera: 'TWICE' })
    const second = await catalogued(engines, { camera: 'TWICE', status: 'received', duplicateOf: first })
    expect(await found(on('TWICE'))).toEqual([first])
    expect(await found({ ...on('TWICE'), status: 'received' })).toEqual([])
    expect(await codeOf(readRecording(engines, investigator, second))).toBe('not-found')
    expect(await entriesAbout(engines, second)).toEqual([])
  })

  test('gives every recording exactly once over its pages, also where times are equal or closer than a millisecond', async () => {
    const camera = 'PAGES'
    const status = 'received'
    const ids = await Promise.all(Array.from({ length: 23 }, async () => await catalogued(engines, { camera, status })))
    // Seven rows a microsecond apart within one millisecond; the rest at one moment.
    for (const [at, id] of ids.slice(0, 7).entries()) {
      await sql`
        update recordings set recorded_at = timestamptz '2026-11-25T22:15:00.0001Z' + ${at} * interval '1 microsecond'
        where id = ${id}`.execute(engines.db)
    }
    const seen: RecordingId[] = []
    let cursor: string | null = null
    do {
      const page = await listRecordings(engines, investigator, {
        ...on(camera),
        status,
        limit: 3,
        ...(cursor === null ? {} : { cursor }),
      })
      expect(page.items.length).toBeLessThanOrEqual(3)
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toEqual([...ids.slice(0, 7).reverse(), ...ids.slice(7).sort().reverse()])
  })

  test('pages over implausible clocks', async () => {
    const camera = 'CLOCKS'
    const years = ['0001', '1969', '2001', '2090', '9999']
    const ids = await Promise.all(
      years.map(
        async (year) =>
          await catalogued(engines, {
            camera,
            recordedAt: new Date(`${year}-06-01T00:00:00.123Z`),
            correctedAt: new Date(0),
          }),
      ),
    )
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const query = { ...on(camera), limit: 1, ...(cursor === null ? {} : { cursor }) }
      const page: Awaited<ReturnType<typeof listRecordings>> = await listRecordings(engines, investigator, query)
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toEqual(ids.toReversed())
  })

  test('goes on after a cursor though newer recordings arrive meanwhile', async () => {
    const camera = 'ARRIVING'
    const at = (minute: number) => new Date(Date.UTC(2026, 10, 25, 10, minute))
    const [first, second] = [
      await catalogued(engines, { camera, recordedAt: at(1) }),
      await catalogued(engines, { camera, recordedAt: at(2) }),
    ]
    const page = await listRecordings(engines, investigator, { ...on(camera), limit: 1 })
    await catalogued(engines, { camera, recordedAt: at(3) })
    expect(page.items.map(({ id }) => id)).toEqual([second])
    expect(await found({ ...on(camera), limit: 1, cursor: page.nextCursor ?? '' })).toEqual([first])
  })

  test.for([
    ['nonsense'],
    [''],
    [encodeCursor(['1'])],
    [encodeCursor(['1', 'not-an-id'])],
    [encodeCursor(['1.5', newId()])],
    [encodeCursor([`${'9'.repeat(19)}`, newId()])],
    [encodeCursor([`-${'9'.repeat(18)}`, newId()])],
    [encodeCursor(["0'; drop table recordings", newId()])],
    [encodeCursor(['1', newId(), 'more'])],
  ])('refuses the cursor %s', async ([cursor = '']) => {
    expect(await codeOf(listRecordings(engines, investigator, { cursor }))).toBe('bad-request')
  })

  test.for([[encodeCursor(['9'.repeat(18), newId()])], [encodeCursor([`-${'9'.repeat(17)}`, newId()])]])(
    'bears a made-up cursor, however far away its time is: %s',
    async ([cursor = '']) => {
      expect(await codeOf(listRecordings(engines, investigator, { cursor }))).toBe('accepted')
    },
  )

  test('refuses a time that does not exist', async () => {
    expect(await codeOf(listRecordings(engines, investigator, { from: '2026-02-30T25:00:00Z' }))).toBe('bad-request')
  })

  test('is an entry, with what was asked and what was found', async () => {
    const person = await someone(engines, ['supervisor'])
    const id = await catalogued(engines, { camera: 'SEARCHED', category: 'arrest' })
    await listRecordings(engines, person, { ...on('SEARCHED'), category: 'arrest', limit: 7 })
    expect((await entriesAbout(engines, 'catalogue')).at(-1)).toEqual({
      operation: 'consultation',
      action: 'recording.list',
      outcome: 'allowed',
      actor: { kind: 'person', id: person.id, role: 'supervisor' },
      detail: { query: { camera: 'SEARCHED', category: 'arrest', limit: 7 }, found: [id] },
    })
  })
})

describe('what a person sees', () => {
  const camera = 'SEEN'
  let morning: RecordingId
  let evening: RecordingId
  beforeAll(async () => {
    morning = await catalogued(engines, { camera, recordedAt: new Date('2026-11-25T08:00:00Z') })
    evening = await catalogued(engines, { camera, recordedAt: new Date('2026-11-25T20:00:00Z') })
    await assign(engines, camera, 'PC100', '2026-11-25T06:00:00Z', '2026-11-25T14:00:00Z')
  })

  test.for(['investigator', 'disclosure', 'supervisor', 'retention'] as const)(
    'is everything for the role %s',
    async (role) => {
      const person = await someone(engines, [role])
      expect(await found(on(camera), person)).toEqual([evening, morning])
      expect(await readRecording(engines, person, morning)).toMatchObject({ id: morning, officer: 'PC100' })
    },
  )

  test.for(['admin', 'auditor'] as const)('is nothing for the role %s', async (role) => {
    const person = await someone(engines, [role])
    expect(await found(on(camera), person)).toEqual([])
    expect(await codeOf(readRecording(engines, person, morning))).toBe('not-found')
  })

  test('is for an officer what their camera recorded while it was theirs', async () => {
    const officer = await someone(engines, ['officer'], 'PC100')
    expect(await found(on(camera), officer)).toEqual([morning])
    expect(await readRecording(engines, officer, morning)).toMatchObject({ id: morning, officer: 'PC100' })
    expect(await codeOf(readRecording(engines, officer, evening))).toBe('not-found')
    const nobody = await someone(engines, ['officer'])
    expect(await found(on(camera), nobody)).toEqual([])
  })

  test('follows the corrected clock, not the one the camera showed', async () => {
    const drifted = await catalogued(engines, {
      camera,
      recordedAt: new Date('2026-11-25T16:00:00Z'),
      clockOffset: 3 * 3600,
      correctedAt: new Date('2026-11-25T13:00:00Z'),
    })
    expect(await readRecording(engines, investigator, drifted)).toMatchObject({ officer: 'PC100', clockOffset: 10_800 })
  })

  test('is told apart from what is not there in the ledger alone', async () => {
    const officer = await someone(engines, ['officer'], 'PC200')
    const nothing = newId<RecordingId>()
    const hidden = await readRecording(engines, officer, evening).catch((error: unknown) => error)
    const absent = await readRecording(engines, officer, nothing).catch((error: unknown) => error)
    expect(hidden).toEqual(absent)
    const refusals = (await entriesAbout(engines, evening)).filter(({ outcome }) => outcome === 'denied')
    expect(refusals.at(-1)).toEqual({
      operation: 'consultation',
      action: 'recording.read',
      outcome: 'denied',
      actor: { kind: 'person', id: officer.id, role: 'officer' },
    })
    expect(await entriesAbout(engines, nothing)).toEqual([])
  })
})

describe('a recording', () => {
  test('is shown with all that is known of it, and reading it is an entry', async () => {
    const id = await catalogued(engines, {
      camera: 'WHOLE',
      filename: '../../x\u202E.mp4',
      flags: ['clock_drift'],
      category: 'arrest',
      incident: '26/1',
      number: 417,
      sequence: 'E-1',
      duration: 12.5,
      clockOffset: -2.5,
      tracks: JSON.stringify([{ kind: 'video', codec: 'h264', width: 1920, height: 1080 }]),
      facts: JSON.stringify({
        container: 'mp4',
        startTime: 0.1,
        position: { latitude: 53.4, longitude: -1.5, source: '©xyz' },
        notes: ['not for the wire'],
      }),
    })
    const view = await readRecording(engines, investigator, id)
    expect(view).toEqual({
      id,
      camera: 'WHOLE',
      officer: null,
      dock: expect.any(String),
      recordedAt: '2026-11-25T22:15:00.000Z',
      clockOffset: -2.5,
      receivedAt: '2026-11-26T06:00:00.000Z',
      duration: 12.5,
      size: 10,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      status: 'active',
      quarantinedBecause: null,
      flags: ['clock_drift'],
      category: 'arrest',
      incident: '26/1',
      number: 417,
      sequence: 'E-1',
      filename: '../../x\u202E.mp4',
      container: 'mp4',
      startTime: 0.1,
      position: { latitude: 53.4, longitude: -1.5, source: '©xyz' },
      tracks: [{ kind: 'video', codec: 'h264', width: 1920, height: 1080 }],
      renditions: [],
    })
    expect(await entriesAbout(engines, id)).toEqual([
      {
        operation: 'consultation',
        action: 'recording.read',
        outcome: 'allowed',
        actor: { kind: 'person', id: investigator.id, role: 'investigator' },
      },
    ])
  })

  test('of which little is known says so with nulls, and claims no drift', async () => {
    const id = await catalogued(engines, { status: 'received', sha256: null, objectVersion: null })
    const view = await readRecording(engines, investigator, id)
    expect(view).toMatchObject({ sha256: null, duration: null, number: null, position: null, tracks: [] })
    expect(view).not.toHaveProperty('clockOffset')
  })

  test('is not shown when its entry cannot be written', async () => {
    const id = await catalogued(engines)
    const stopped = {
      ...engines,
      clock: {
        ...engines.clock,
        instant: () => {
          throw new Error('no time')
        },
      },
    }
    await expect(readRecording(stopped, investigator, id)).rejects.toThrow('no time')
    await expect(listRecordings(stopped, investigator, {})).rejects.toThrow('no time')
    expect(await entriesAbout(engines, id)).toEqual([])
  })
})
