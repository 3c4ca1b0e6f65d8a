import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import { changeCase } from '../../src/cases/actions.ts'
import { moveExhibit } from '../../src/cases/moving.ts'
import { explainDate, listDue } from '../../src/retention/dates.ts'
import { approveDeletion, askDeletion, withdrawDeletion } from '../../src/retention/decisions.ts'
import { aCase, anExhibit } from '../case-files.ts'
import { entriesAbout, kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf } from '../footsteps.ts'
import {
  caseWith,
  happened,
  inForce,
  type Keepers,
  keepers,
  locksOver,
  movedClock,
  purged,
  setCase,
  statusOf,
} from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
let engines: TestEngines
let people: Keepers
let category: string
beforeAll(async () => {
  engines = await testEngines({ clock, env: { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1' } })
  people = await keepers(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(() => {
  clock.ahead = 0
  category = `category ${newId()}`
})

const footage = async (): Promise<RecordingId> =>
  await kept(engines, randomBytes(64), { category, recordedAt: new Date(Date.now() - day) })
const ask = async (id: RecordingId) => await askDeletion(engines, people.drafter, id, 'recorded in a changing room')
const approve = async (id: RecordingId) => await approveDeletion(engines, people.approver, id, undefined)
const withdraw = async (id: RecordingId) => await withdrawDeletion(engines, people.approver, id, 'it is an exhibit now')
const dayAhead = (days: number) => new Date(Date.now() + days * day).toISOString().slice(0, 10)

describe('a request to delete', () => {
  test('is withdrawn before it was approved and after, with a reason and its entry, and may be made anew', async () => {
    const id = await footage()
    expect(await codeOf(withdraw(id))).toBe('conflict')
    await ask(id)
    await withdraw(id)
    expect(await codeOf(approve(id))).toBe('conflict')
    await ask(id)
    await approve(id)
    await withdraw(id)
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    expect(await codeOf(withdraw(newId()))).toBe('not-found')
    const told = await entriesAbout(engines, id)
    expect(told.map(({ action }) => action)).toEqual([
      'recording.deletion-asked',
      'recording.deletion-withdrawn',
      'recording.deletion-asked',
      'recording.deletion-approved',
      'recording.deletion-withdrawn',
    ])
    expect(told[1]).toMatchObject({ purpose: 'it is an exhibit now', detail: { approved: false } })
    expect(told[4]).toMatchObject({
      actor: { id: people.approver.id },
      detail: { askedBy: people.drafter.id, approved: true },
    })
  })

  test('is approved for a reason that holds to the codes of the role, or for none', async () => {
    const id = await footage()
    await ask(id)
    const coded = { ...engines, config: { ...engines.config, REASON_CODES: { retention: ['privacy'] } } }
    const approveFor = async (reason: string) => await codeOf(approveDeletion(coded, people.approver, id, reason))
    expect([await approveFor(' '), await approveFor('because')]).toEqual(['bad-request', 'bad-request'])
    expect(await approveFor(' privacy: changing room ')).toBe('accepted')
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({ purpose: 'privacy: changing room' })
    await withdraw(id)
  })

  test('that hid the recording is withdrawn too, and the next purge brings it back; once erased, it is too late', async () => {
    const [back, gone] = [await footage(), await footage()]
    for (const id of [back, gone]) {
      await ask(id)
      await approve(id)
    }
    expect(await purged(engines)).toMatchObject({ hidden: 2 })
    await withdraw(back)
    expect(await purged(engines)).toMatchObject({ hidden: 0, erased: 0, held: 1 })
    expect(await statusOf(engines, back)).toBe('active')
    clock.ahead += 31 * day
    await locksOver(engines)
    expect(await purged(engines)).toMatchObject({ erased: 1, held: 0 })
    expect([await statusOf(engines, back), await statusOf(engines, gone)]).toEqual(['active', 'erased'])
    expect((await problemOf(withdraw(gone)))?.message).toMatch(/was erased/)
  })

  test('does not take an exhibit before the day that the events of its cases give, and takes it then', async () => {
    await inForce(engines, people, { category, trigger: 'convicted', period: 'P6M' })
    const id = await footage()
    const of = await caseWith(engines, people.investigator, [id], { status: 'open' })
    await ask(id)
    await approve(id)
    await happened(engines, people.investigator, of, 'convicted', dayAhead(0))
    await setCase(engines, of, 'closed')
    expect(await purged(engines)).toMatchObject({ hidden: 0, held: 0 })
    const told = await explainDate(engines, people.investigator, id)
    expect(told).toMatchObject({ decidedBy: { rule: 'case-event' }, beaten: [{ rule: 'deletion-request' }] })
    expect(told.beaten[0]?.beatenBy).toMatch(/^A request does not beat what the events of its cases give/)
    const due = async (on: string) => {
      const { items } = await listDue(engines, people.drafter, { on, limit: 50, cursor: undefined })
      return items.filter(({ recordingId }) => recordingId === id).length
    }
    expect([await due(dayAhead(100)), await due(dayAhead(200))]).toEqual([0, 1])
    clock.ahead = 200 * day
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    const item = engines.db.selectFrom('purgeItems').select('request').where('recording', '=', id)
    expect(await item.executeTakeFirst()).toEqual({ request: null })
  })

  test.for(['open', 'approved'])(
    'that is %s ends when the recording becomes an exhibit, with an entry',
    async (state) => {
      const id = await footage()
      await ask(id)
      if (state === 'approved') await approve(id)
      const of = await aCase(engines, people.investigator)
      const exhibit = await anExhibit(engines, people.investigator, of, 'AB/1', id)
      const told = (await entriesAbout(engines, id)).at(-1)
      expect(told).toMatchObject({
        action: 'recording.deletion-withdrawn',
        actor: { kind: 'service', id: 'exhibits', cause: expect.any(String) },
        detail: {
          askedBy: people.drafter.id,
          approved: state === 'approved',
          because: 'It became an exhibit of a case.',
        },
      })
      // Which case it is, and who put it there, only its members may know.
      expect(JSON.stringify(told)).not.toMatch(new RegExp(`${of}|${exhibit}|${people.investigator.id}`))
      expect(await codeOf(approve(id))).toBe('conflict')
      await changeCase(engines, people.investigator, of, { status: 'closed', reason: 'Convicted' })
      expect(await purged(engines)).toMatchObject({ hidden: 0 })
      expect(await statusOf(engines, id)).toBe('active')
    },
  )

  test('ends too when an exhibit is moved, and stands when it is made of an exhibit that stays where it is', async () => {
    const [moved, stays] = [await footage(), await footage()]
    const of = await aCase(engines, people.investigator)
    const exhibit = await anExhibit(engines, people.investigator, of, 'AB/1', moved)
    await anExhibit(engines, people.investigator, of, 'AB/2', stays)
    for (const id of [moved, stays]) {
      await ask(id)
      await approve(id)
    }
    await moveExhibit(engines, people.investigator, exhibit, { caseId: of, reference: 'AB/3' }, 'a slip of the pen')
    expect(await codeOf(withdraw(moved))).toBe('conflict')
    await changeCase(engines, people.investigator, of, { status: 'closed', reason: 'Convicted' })
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    expect([await statusOf(engines, moved), await statusOf(engines, stays)]).toEqual(['active', 'grace'])
  })

  test('from before requests ended so takes nothing that has become an exhibit, and is taken back as any other', async () => {
    const id = await footage()
    await ask(id)
    await approve(id)
    await caseWith(engines, people.investigator, [id])
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    const told = await explainDate(engines, people.investigator, id)
    expect(told).toMatchObject({ date: null, beaten: [{ rule: 'deletion-request' }] })
    await withdraw(id)
    await ask(id)
    await approve(id)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
  })
})
