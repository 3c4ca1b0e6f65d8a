import { describe, expect, test } from 'vitest'
import {
  type CaseId,
  type ClipId,
  type EntryId,
  type ExhibitId,
  newId,
  type PersonId,
  type RecordingId,
} from '../../src/base/ids.ts'
import { Problem } from '../../src/base/problem.ts'
import { canBe, caseReference, whyNotOn } from '../../src/cases/case.ts'
import { exhibitReference, sourceOf, whyNoExhibit } from '../../src/cases/exhibit.ts'
import { actions, lineOf, peopleIn } from '../../src/cases/history-words.ts'
import type { CaseEventKind } from '../../src/engines/case-tables.ts'
import { roles } from '../../src/people/role.ts'
import { statuses } from '../../src/recordings/recording.ts'

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  }
  return 'accepted'
}

describe('the reference of an exhibit', () => {
  test.for(['AB/1', 'A/1', 'ABCDE/999999', 'JS/42', 'CONN/1', 'NULL/7'])('may be %s', (reference) => {
    expect(exhibitReference(reference)).toBe(reference)
  })

  test.for([
    '',
    'AB',
    'AB/',
    '/1',
    'AB/0',
    'AB/01',
    'AB/1000000',
    'ABCDEF/1',
    'ab/1',
    'Ab/1',
    'AB/1/2',
    'AB//1',
    'AB/1/',
    'AB\\1',
    'AB/1.2',
    '../1',
    'AB/..',
    './1',
    'AB/1 ',
    ' AB/1',
    'AB/1\n',
    'AB/1\u0000',
    'AB/\u001b[2J1',
    'AB/١',
    'ÄB/1',
    'АВ/1',
    'ＡＢ/1',
    'AB∕1',
    'AB⁄1',
    'A\u200bB/1',
    '\u202eAB/1',
    'AB/1;rm',
    '=AB/1',
    'CON/1',
    'PRN/1',
    'AUX/1',
    'NUL/1',
    'COM/1',
    'LPT/9',
    `${'A'.repeat(298)}/1`,
  ])('is never %j', (reference) => {
    expect(codeOf(() => exhibitReference(reference))).toBe('bad-request')
  })
})

describe('the reference of a case', () => {
  test('is kept trimmed and composed, whatever the force writes in it', () => {
    expect(caseReference('  26/CR/01934 ')).toBe('26/CR/01934')
    expect(caseReference('Ope\u0301ration ../ CON "é" <b>')).toBe('Opération ../ CON "é" <b>')
    expect(caseReference('x'.repeat(100))).toHaveLength(100)
  })

  test.for([
    '',
    '   ',
    '\t',
    'x'.repeat(101),
    'a\u0000b',
    'a\nb',
    'a\u0085b',
    'a\u200bb',
    'a\u202eb',
    'a\u2028b',
    '\ufeff\u2066',
  ])('is never %j', (reference) => {
    expect(codeOf(() => caseReference(reference))).toBe('bad-request')
  })
})

describe('the day of an event', () => {
  const now = Temporal.Instant.from('2026-11-25T22:15:00Z')
  const why = (kind: CaseEventKind, on: string) => whyNotOn(kind, on, now)

  test('may be any day until today, in any order, however late it is noted', () => {
    for (const on of ['1900-01-01', '1987-02-28', '2024-02-29', '2026-11-24', '2026-11-25'])
      expect(why('convicted', on), on).toBeUndefined()
  })

  test('is not in the future, but what is today anywhere is not the future', () => {
    expect(why('charged', '2026-11-26')).toBeUndefined()
    expect(why('charged', '2026-11-27')).toMatch('future')
    expect(why('closed', '2027-01-01')).toMatch('future')
    expect(whyNotOn('charged', '2026-11-26', Temporal.Instant.from('2026-11-25T09:59:59Z'))).toMatch('future')
  })

  test('of a release is known ahead, for a hundred years', () => {
    expect(why('released', '2051-06-01')).toBeUndefined()
    expect(why('released', '2126-11-26')).toBeUndefined()
    expect(why('released', '2126-11-27')).toMatch('hundred years')
    expect(why('released', '9999-12-31')).toMatch('hundred years')
  })

  test.for(['1899-12-31', '0202-11-25', '2026-02-30', '2026-13-01', '2025-02-29', '2026-11-31', 'yesterday', ''])(
    'is never %j',
    (on) => {
      expect(why('convicted', on)).toMatch(/not a day that exists|lies before/)
    },
  )
})

describe('a member', () => {
  test('is an investigator by the role investigator or supervisor, and disclosure by the role disclosure', () => {
    expect(roles.filter((role) => canBe('investigator', [role]))).toEqual(['investigator', 'supervisor'])
    expect(roles.filter((role) => canBe('disclosure', [role]))).toEqual(['disclosure'])
    expect(canBe('disclosure', ['officer', 'disclosure'])).toBe(true)
    expect(canBe('investigator', [])).toBe(false)
  })
})

describe('what becomes an exhibit', () => {
  test('is exactly one thing', () => {
    const [recordingId, clipId] = [newId<RecordingId>(), newId<ClipId>()]
    expect(codeOf(() => sourceOf({}))).toBe('bad-request')
    expect(codeOf(() => sourceOf({ recordingId, clipId }))).toBe('bad-request')
    expect(sourceOf({ clipId })).toEqual({ clip: clipId })
  })

  test('is in custody, and if it is a clip, was cut', () => {
    expect(Object.fromEntries(statuses.map((status) => [status, whyNoExhibit(status)?.code]))).toEqual({
      received: 'not-ready',
      verified: undefined,
      active: undefined,
      quarantined: 'quarantined',
      due: undefined,
      grace: 'conflict',
      erased: 'erased',
    })
    expect(whyNoExhibit('active', { clip: 'ready' })).toBeUndefined()
    expect(whyNoExhibit('active', { clip: 'owed' })).toMatchObject({ code: 'not-ready', retryAfter: 5 })
    expect(whyNoExhibit('active', { clip: 'working' })?.code).toBe('not-ready')
    expect(whyNoExhibit('active', { clip: 'failed' })?.code).toBe('conflict')
    expect(whyNoExhibit('erased', { clip: 'ready' })?.code).toBe('erased')
  })
})

describe('a line of the history', () => {
  const [person, other] = [newId<PersonId>(), newId<PersonId>()]
  const names = new Map([
    [person, 'Asha Rao'],
    [other, 'Ben Oakes'],
  ])
  const salt = '00'
  const rowOf = (action: string, detail: Record<string, unknown>) => ({
    id: newId<EntryId>(),
    at: '2026-11-25T22:15:00.123456Z',
    action,
    type: action.startsWith('case') ? 'case' : 'exhibit',
    subject: newId<ExhibitId>(),
    parts: {
      actor: { value: { kind: 'person', id: person }, salt },
      detail: { value: JSON.parse(JSON.stringify(detail)), salt },
    },
  })
  const wordsOf = (action: string, detail: Record<string, unknown> = {}) => lineOf(rowOf(action, detail), names).words

  test('says in words what was done', () => {
    expect(wordsOf('case.opened', { reference: '26/1', title: 'Robbery' })).toBe(
      'The case was opened as 26/1, “Robbery”.',
    )
    const before = { reference: '26/1', title: 'Robbery' }
    expect(wordsOf('case.renamed', { before, after: { ...before, title: 'Theft' } })).toBe(
      'The case was renamed: title from “Robbery” to “Theft”.',
    )
    expect(wordsOf('case.member-set', { person: other, role: 'disclosure' })).toBe(
      'Ben Oakes became a member as disclosure.',
    )
    expect(wordsOf('case.member-set', { person: other, before: 'disclosure', role: 'investigator' })).toBe(
      'Ben Oakes is no longer disclosure but investigator.',
    )
    expect(wordsOf('case.event-noted', { kind: 'no_further_action', on: '2026-11-01' })).toBe(
      'Noted: no further action, on 2026-11-01.',
    )
    expect(wordsOf('exhibit.added', { reference: 'AB/1', recording: newId(), clip: newId() })).toBe(
      'AB/1, a clip, was put into the case.',
    )
  })

  test('never names another case than its own', () => {
    const [here, there] = [newId<CaseId>(), newId<CaseId>()]
    const places = { from: { case: here, reference: 'AB/1' }, to: { case: there, reference: 'ZZ/9' } }
    expect(wordsOf('exhibit.moved-away', places)).toBe('AB/1 became an exhibit of another case.')
    expect(wordsOf('exhibit.moved-here', places)).toBe('ZZ/9 came from another case.')
    const within = { from: { case: here, reference: 'AB/1' }, to: { case: here, reference: 'AB/2' } }
    expect(wordsOf('exhibit.moved-away', within)).toBe('AB/1 became AB/2.')
    expect(wordsOf('exhibit.moved-here', within)).toBe('AB/2 came from AB/1.')
  })

  test('says so where the ledger no longer knows', () => {
    for (const action of actions) {
      const row = { ...rowOf(action, {}), parts: {} }
      expect(lineOf(row, names)).toMatchObject({ by: null, reason: null })
      expect(lineOf(row, names).words).not.toMatch(/undefined|null/)
      expect(peopleIn(row)).toEqual([])
    }
    expect(lineOf(rowOf('case.reopened', {}), new Map()).by).toEqual({ id: person, name: '(no longer known)' })
  })
})
