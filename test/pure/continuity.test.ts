import { describe, expect, test } from 'vitest'
import { type CaseId, type EntryId, newId, type PersonId } from '../../src/base/ids.ts'
import { micros } from '../../src/base/time.ts'
import { actOf } from '../../src/continuity/act.ts'
import { changeOf } from '../../src/continuity/changes.ts'
import { type ActFacts, everyPart, type Reader, sightOf } from '../../src/continuity/sight.ts'
import { endOfMoment } from '../../src/continuity/story.ts'
import { sealOf } from '../../src/ledger/entry.ts'
import { mayPerson } from '../../src/people/permissions.ts'
import { type Role, roles } from '../../src/people/role.ts'
import { around, leafIn, now, rowOf, somebody } from '../told.ts'

const me = newId<PersonId>()
const mine = newId<CaseId>()
const theirs = newId<CaseId>()
const reader = (...held: Role[]): Reader => ({ id: me, roles: held, memberOf: new Set<string>([mine]) })
const act = (over: Partial<ActFacts>): ActFacts => ({
  operation: 'consultation',
  action: 'recording.viewing',
  outcome: 'allowed',
  actor: { kind: 'person', id: somebody },
  aboutClip: false,
  inCase: null,
  ...over,
})
const all = [...everyPart]
const service = { kind: 'service', id: 'take-into-custody' }
const dock = { kind: 'dock', id: newId() }
const inMine = { of: mine, named: [mine] }
const inTheirs = { of: theirs, named: [theirs] }

describe('what a reader sees of an act', () => {
  const table: [string, ActFacts, readonly string[] | 'withheld'][] = [
    ['somebody watched', act({}), ['policy', 'detail']],
    ['I watched', act({ actor: { kind: 'person', id: me } }), all],
    [
      'a dock brought it',
      act({ operation: 'collection', action: 'upload.stored', actor: dock }),
      ['actor', 'policy', 'detail'],
    ],
    [
      'a worker verified it',
      act({ operation: 'collection', action: 'recording.verified', actor: service }),
      ['actor', 'policy', 'detail'],
    ],
    [
      'a supervisor accepted it',
      act({ operation: 'alteration', action: 'recording.accepted' }),
      ['actor', 'policy', 'detail'],
    ],
    [
      'somebody tried to approve its deletion',
      act({ operation: 'erasure', action: 'deletion.approve', outcome: 'denied' }),
      ['policy', 'detail'],
    ],
    [
      'the schedule erased it',
      act({ operation: 'erasure', action: 'recording.erased', actor: service }),
      ['actor', 'policy', 'detail'],
    ],
    ['somebody held it', act({ operation: 'administration', action: 'recording.held' }), ['policy', 'detail']],
    ['somebody downloaded it', act({ action: 'recording.download' }), ['policy', 'detail']],
    ['it was put into a case of mine', act({ operation: 'combination', action: 'exhibit.added', inCase: inMine }), all],
    [
      'it was put into another case',
      act({ operation: 'combination', action: 'exhibit.added', inCase: inTheirs }),
      'withheld',
    ],
    [
      'it was put into a case nobody knows',
      act({ operation: 'combination', action: 'exhibit.add', outcome: 'denied', inCase: { of: undefined, named: [] } }),
      'withheld',
    ],
    ['somebody looked at an exhibit of my case', act({ action: 'exhibit.read', inCase: inMine }), ['policy', 'detail']],
    [
      'a bundle of my case was asked for',
      act({ operation: 'disclosure', action: 'bundle.asked', inCase: inMine }),
      all,
    ],
    [
      'a bundle of my case was fetched',
      act({ operation: 'disclosure', action: 'bundle.download', inCase: inMine }),
      ['policy', 'detail'],
    ],
    [
      'it was disclosed in another case',
      act({ operation: 'disclosure', action: 'recording.disclosed', actor: service, inCase: inTheirs }),
      'withheld',
    ],
    [
      'I asked for a bundle in a case I left',
      act({ operation: 'disclosure', action: 'bundle.asked', actor: { kind: 'person', id: me }, inCase: inTheirs }),
      all,
    ],
    [
      'it was moved from my case to another',
      act({ operation: 'combination', action: 'exhibit.moved-away', inCase: { of: mine, named: [mine, theirs] } }),
      all.filter((part) => part !== 'detail'),
    ],
    [
      'it was moved from another case to mine',
      act({ operation: 'combination', action: 'exhibit.moved-away', inCase: { of: theirs, named: [theirs, mine] } }),
      'withheld',
    ],
    [
      'the store was found to be wrong',
      act({ operation: 'administration', action: 'recording.mismatch-found', actor: service, inCase: inTheirs }),
      [],
    ],
    ['whoever it was was erased', act({ actor: undefined }), ['policy', 'detail']],
  ]

  test.for(table)('an investigator, where %s', ([, facts, expected]) => {
    const seen = sightOf(reader('investigator'))(facts)
    expect(seen === 'withheld' ? seen : [...seen.parts]).toEqual(expected)
  })

  test.for(table)('an officer, disclosure and retention see no more than an investigator, where %s', ([, facts]) => {
    const most = sightOf(reader('investigator'))(facts)
    for (const role of ['officer', 'disclosure', 'retention'] as const) {
      const seen = sightOf(reader(role))(facts)
      expect(seen === 'withheld', role).toBe(most === 'withheld')
      if (seen !== 'withheld' && most !== 'withheld')
        expect(most.parts).toEqual(expect.arrayContaining([...seen.parts]))
    }
  })

  test.for(table)('a supervisor and an auditor see all of it, where %s', ([, facts]) => {
    for (const role of ['supervisor', 'auditor'] as const) {
      expect(sightOf(reader(role))(facts)).toEqual({ parts: everyPart })
      expect(sightOf(reader('officer', role))(facts)).toEqual({ parts: everyPart })
    }
  })

  test('whoever may not read about clips does not read their titles and ranges', () => {
    const cut = act({ action: 'clip.cut', actor: service, aboutClip: true })
    const partsFor = (role: Role) => {
      const seen = sightOf(reader(role))(cut)
      return seen === 'withheld' ? seen : seen.parts
    }
    expect(partsFor('disclosure')).toEqual(['actor', 'policy', 'detail'])
    expect(partsFor('officer')).toEqual(['actor', 'policy'])
    expect(partsFor('retention')).toEqual(['actor', 'policy'])
  })

  test('an officer is not told why their own footage is held, which may be for what they did', () => {
    for (const action of ['recording.held', 'recording.hold-released'])
      expect(sightOf(reader('officer'))(act({ operation: 'administration', action }))).toEqual({ parts: ['policy'] })
    expect(sightOf(reader('officer', 'investigator'))(act({ action: 'recording.held' }))).toEqual({
      parts: ['policy', 'detail'],
    })
  })

  test('who may ask at all: whoever may see recordings, retention, and auditors', () => {
    expect(roles.filter((role) => mayPerson([role], 'custody.read'))).toEqual([
      'officer',
      'investigator',
      'disclosure',
      'supervisor',
      'retention',
      'auditor',
    ])
  })
})

describe('an act as it is told', () => {
  test('somebody who may see all of it gets the name, the reason, and what the leaf is computed from', () => {
    const row = rowOf({})
    const told = actOf(row, sightOf(reader('supervisor')), around())
    expect(told).toMatchObject({
      shown: 'whole',
      entry: row.id,
      at: micros(now),
      words: 'The recording was opened to be watched.',
      who: { kind: 'person', id: somebody, name: 'Asha Rao', role: 'investigator' },
      why: 'Complaint 26/0193',
      sealed: {},
      leaf: row.leaf.toString('hex'),
      index: 4711,
    })
    expect(leafIn(told)).toBe(told.leaf)
  })

  test('others get the seals of the name and the reason, under which the same leaf is computed', () => {
    const row = rowOf({})
    const told = actOf(row, sightOf(reader('investigator')), around())
    if (told.shown !== 'in-part') throw new Error(`it is ${told.shown}`)
    expect(told.who).toBeNull()
    expect(told).not.toHaveProperty('why')
    expect(Object.keys(told.sealed).sort()).toEqual(['actor', 'purpose'])
    expect(Object.keys(told.disclosed.parts)).toEqual(['detail'])
    const { actor } = row.parts
    if (actor === undefined) throw new Error('no actor')
    expect(told.sealed.actor).toBe(sealOf(Buffer.from(actor.salt, 'hex'), actor.value))
    expect(leafIn(told)).toBe(told.leaf)
    expect(JSON.stringify(told)).not.toContain(somebody)
    expect(JSON.stringify(told)).not.toContain('Complaint')
    expect(JSON.stringify(told)).not.toContain(actor.salt)
  })

  test('of a case that is not theirs they get a day and a leaf', () => {
    const exhibit = newId()
    const row = rowOf({
      operation: 'combination',
      action: 'exhibit.added',
      subject: { type: 'exhibit', id: exhibit },
      detail: { case: theirs, reference: 'AB/1' },
    })
    const caseOf = new Map([[exhibit, theirs]])
    const told = actOf(row, sightOf(reader('investigator')), around({ about: exhibit, caseOf }))
    expect(told).toEqual({
      shown: 'withheld',
      day: new Date().toISOString().slice(0, 10),
      leaf: row.leaf.toString('hex'),
      origin: 'exhibit.local/test',
      index: 4711,
      underCheckpoint: true,
    })
    const toMember = actOf(
      row,
      sightOf(reader('investigator')),
      around({ about: exhibit, caseOf: new Map([[exhibit, mine]]) }),
    )
    expect(toMember).toMatchObject({ shown: 'in-part', words: 'AB/1 was put into the case.' })
  })

  test('a member of one of two cases learns of a move what the history says, and never of the other case', () => {
    const exhibit = newId()
    const row = rowOf({
      operation: 'combination',
      action: 'exhibit.moved-away',
      subject: { type: 'exhibit', id: exhibit },
      detail: { from: { case: mine, reference: 'AB/1' }, to: { case: theirs, reference: 'XY/9' } },
    })
    const told = actOf(
      row,
      sightOf(reader('investigator')),
      around({ about: exhibit, caseOf: new Map([[exhibit, mine]]) }),
    )
    expect(told).toMatchObject({ words: 'AB/1 became an exhibit of another case.', who: { name: 'Asha Rao' } })
    expect(JSON.stringify(told)).not.toMatch(new RegExp(`${theirs}|XY/9`))
    expect(leafIn(told)).toBe(told.leaf)
  })

  test('what was erased of an entry is named with the entry of its erasure, and the leaf still computed', () => {
    const whole = rowOf({})
    const erasure = newId<EntryId>()
    const { purpose: _, ...parts } = whole.parts
    const told = actOf({ ...whole, parts, erased: { purpose: erasure } }, sightOf(reader('auditor')), around())
    expect(told).toMatchObject({
      shown: 'in-part',
      erased: { purpose: erasure },
      sealed: { purpose: expect.any(String) },
    })
    expect(leafIn(told)).toBe(told.leaf)
    const gone = actOf(
      { ...whole, entry: null, salt: null, parts: {}, erased: { body: erasure } },
      sightOf(reader('investigator')),
      around(),
    )
    expect(gone).toMatchObject({
      shown: 'erased',
      entry: whole.id,
      erasedBy: erasure,
      leaf: whole.leaf.toString('hex'),
    })
    const inCase = { about: 'exhibit', caseOf: new Map([['exhibit', theirs]]) }
    const hidden = actOf(
      { ...whole, entry: null, salt: null, parts: {}, erased: { body: erasure } },
      sightOf(reader('investigator')),
      around(inCase),
    )
    expect(hidden).toMatchObject({ shown: 'withheld' })
    expect(JSON.stringify(hidden)).not.toContain(whole.id)
  })

  test('what an act made, changed or destroyed is given by its digest before and after', () => {
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)]
    expect(changeOf('recording.verified', { sha256: a }, a)).toEqual({ what: 'recording', before: null, after: a })
    expect(changeOf('recording.quarantined', { declared: a, read: b }, a)).toEqual({
      what: 'recording',
      before: a,
      after: b,
    })
    expect(changeOf('clip.cut', { sha256: b }, a)).toEqual({ what: 'clip', before: a, after: b })
    expect(changeOf('recording.erased', { sha256: a }, a)).toEqual({ what: 'recording', before: a, after: null })
    expect(changeOf('recording.mismatch-found', { file: 'clip', sha256: a, found: b }, a)).toMatchObject({
      what: 'clip',
      after: b,
    })
    expect(changeOf('recording.viewing', {}, a)).toBeUndefined()
    expect(changeOf('recording.verified', undefined, a)).toBeUndefined()
  })

  test('all ids of the same millisecond are within the reading', () => {
    const id = newId<EntryId>()
    const end = endOfMoment(id)
    expect(end >= id).toBe(true)
    expect(end.slice(0, 13)).toBe(id.slice(0, 13))
  })
})
