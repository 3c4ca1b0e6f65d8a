import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Problem } from '../../src/base/problem.ts'
import { dateOf, type Facts } from '../../src/retention/date.ts'
import { checkPeriod, endFromDay, periodInWords } from '../../src/retention/period.ts'
import { holdKinds, triggers } from '../../src/retention/words.ts'

const london = 'Europe/London'
const caseTriggers = triggers.filter((trigger) => trigger !== 'recorded')

const plain: Facts = {
  category: 'traffic',
  correctedAt: new Date('2026-01-31T22:15:00Z'),
  receivedAt: new Date('2026-02-01T06:00:00Z'),
  flags: [],
  examined: true,
  policy: { version: 1, trigger: 'recorded', period: 'P31D' },
  cases: [],
  holds: [],
  deletionApprovedAt: null,
  exhibitSince: null,
}
const counting = (trigger: (typeof caseTriggers)[number], period = 'P6M') => ({ version: 2, trigger, period })
const hold = { kind: 'complaint', placedAt: new Date('2026-02-02T10:00:00Z'), reviewOn: '2026-05-01' } as const

const whenOf = (facts: Partial<Facts>, zone = london): string => dateOf({ ...plain, ...facts }, zone).when.toString()

describe('the date of a recording', () => {
  test.for([
    ['P31D', '2026-03-03T22:15:00Z'],
    ['P1M', '2026-02-28T22:15:00Z'],
    // Summer time has begun, so by the clock on the wall it is an hour earlier.
    ['P2M', '2026-03-31T21:15:00Z'],
    ['P1Y1M', '2027-02-28T22:15:00Z'],
    ['P2Y1M', '2028-02-29T22:15:00Z'],
    ['P1W', '2026-02-07T22:15:00Z'],
    ['PT36H', '2026-02-02T10:15:00Z'],
    ['P200Y', '2226-01-31T22:15:00Z'],
  ])('is %s after it was recorded, by the calendar', ([period, at]) => {
    expect(whenOf({ policy: { version: 1, trigger: 'recorded', period: period ?? '' } })).toBe(at)
  })

  test.for([
    // The night in which the clock on the wall skips 01:30, and the one in which it shows it twice.
    ['2026-03-28T01:30:00Z', '2026-03-29T01:30:00Z'],
    ['2026-10-24T00:30:00Z', '2026-10-25T00:30:00Z'],
    ['2026-03-28T12:00:00Z', '2026-03-29T11:00:00Z'],
    ['2026-10-24T11:00:00Z', '2026-10-25T12:00:00Z'],
  ])('a day after %s is %s, whatever the clocks did in that night', ([from, at]) => {
    const correctedAt = new Date(from ?? '')
    expect(whenOf({ correctedAt, policy: { version: 1, trigger: 'recorded', period: 'P1D' } })).toBe(at)
  })

  test('follows the time zone of the installation', () => {
    const facts = {
      policy: { version: 1, trigger: 'recorded', period: 'P1M' },
      correctedAt: new Date('2026-01-30T23:30:00Z'),
    } as const
    expect(whenOf(facts, 'Europe/London')).toBe('2026-02-28T23:30:00Z')
    expect(whenOf(facts, 'Asia/Tokyo')).toBe('2026-02-27T23:30:00Z')
  })

  test.for(['clock_drift', 'clock_implausible'])('counts from receipt where the recording is flagged %s', (flag) => {
    expect(whenOf({ flags: ['truncated', flag] })).toBe('2026-03-04T06:00:00Z')
    expect(dateOf({ ...plain, flags: [flag] }, london).decided.words).toContain('clock cannot be trusted')
  })

  test('is never early because nobody has examined the recording yet', () => {
    expect(whenOf({ examined: false })).toBe('2026-03-04T06:00:00Z')
    expect(whenOf({ examined: false, correctedAt: new Date('2026-02-05T00:00:00Z') })).toBe('2026-03-08T00:00:00Z')
  })

  test('is none where the category has no policy', () => {
    const verdict = dateOf({ ...plain, policy: null }, london)
    expect(verdict.when).toBe('keep')
    expect(verdict.decided.words).toBe('The category "traffic" has no approved policy: keep.')
    expect(whenOf({ policy: null, category: null })).toBe('keep')
  })

  test.for([
    ['convicted', 'P6M', '2026-01-31', '2026-08-01', 'summer: midnight in London is 23:00 of the day before in UTC'],
    ['released', 'P1M', '2026-01-30', '2026-03-01', 'the last day of February is the last that counts'],
    ['released', 'P1M', '2026-01-31', '2026-03-01', 'and for the 31st too'],
    ['closed', 'P1D', '2026-12-31', '2027-01-02', 'the first of January counts to its end'],
  ])('counts from the day of %s: %s from %s is over as %s begins', ([trigger, period, day, first]) => {
    const kind = caseTriggers.find((each) => each === trigger) ?? 'closed'
    const facts = {
      policy: counting(kind, period),
      cases: [{ status: 'closed', events: { [kind]: day ?? '' } }],
    } as const
    const begins = Temporal.PlainDate.from(first ?? '')
      .toZonedDateTime(london)
      .toInstant()
    expect(whenOf(facts)).toBe(begins.toString())
  })

  test('is the latest over all its cases', () => {
    const policy = counting('closed', 'P1D')
    const cases = ['2026-03-01', '2026-09-01', '2026-05-01'].map(
      (closed) => ({ status: 'closed', events: { closed } }) as const,
    )
    const { when, beaten } = dateOf({ ...plain, policy, cases }, london)
    expect(when.toString()).toBe('2026-09-02T23:00:00Z')
    expect(beaten.map(({ when: at }) => at.toString())).toEqual(['2026-05-02T23:00:00Z', '2026-03-03T00:00:00Z'])
    expect(beaten[0]?.beatenBy).toBe('The latest date counts.')
  })

  test.for([
    ['it is in no case', []],
    ['the case has no such event', [{ status: 'closed', events: { charged: '2020-01-01' } }]],
    [
      'one case of two has no such event',
      [
        { status: 'closed', events: { convicted: '2020-01-01' } },
        { status: 'closed', events: {} },
      ],
    ],
  ] as const)('is none, since what is not known means keep, where %s', ([, cases]) => {
    expect(whenOf({ policy: counting('convicted'), cases })).toBe('keep')
  })

  test('is none inside an open case, whatever the policy counts from, and it says what it would be otherwise', () => {
    const cases = [{ status: 'open', events: {} }] as const
    const { when, decided, otherwise, beaten } = dateOf({ ...plain, cases }, london)
    expect([when, decided.rule, otherwise.toString()]).toEqual(['keep', 'open-case', '2026-03-03T22:15:00Z'])
    expect(beaten).toMatchObject([{ rule: 'category', beatenBy: 'Nothing inside an open case is taken.' }])
  })

  test('is none under a hold, which beats an approved deletion and an open case too', () => {
    const deletionApprovedAt = new Date('2026-02-03T00:00:00Z')
    const verdict = dateOf(
      { ...plain, deletionApprovedAt, holds: [hold], cases: [{ status: 'open', events: {} }] },
      london,
    )
    expect(verdict.when).toBe('keep')
    expect(verdict.decided.words).toBe(
      'A hold (complaint) has been on it since 2026-02-02, to be reviewed on 2026-05-01.',
    )
    expect(verdict.beaten.map(({ rule }) => rule)).toEqual(['open-case', 'deletion-request', 'category'])
  })

  test('is at once when its deletion was approved, even where nothing else is known', () => {
    const deletionApprovedAt = new Date('2026-02-03T00:00:00Z')
    expect(whenOf({ deletionApprovedAt })).toBe('2026-02-03T00:00:00Z')
    expect(whenOf({ deletionApprovedAt, policy: null })).toBe('2026-02-03T00:00:00Z')
    expect(whenOf({ deletionApprovedAt, policy: counting('convicted') })).toBe('2026-02-03T00:00:00Z')
  })

  test('of an exhibit is not sooner than what the events of its cases give, whatever deletion was approved', () => {
    const facts = {
      ...plain,
      policy: counting('convicted'),
      deletionApprovedAt: new Date('2026-02-03T00:00:00Z'),
      cases: [{ status: 'closed', events: { convicted: '2027-02-03' } }],
    } as const
    const { when, decided, beaten } = dateOf(facts, london)
    expect([when.toString(), decided.rule]).toEqual(['2027-08-03T23:00:00Z', 'case-event'])
    expect(beaten).toMatchObject([
      {
        rule: 'deletion-request',
        beatenBy: 'A request does not beat what the events of its cases give: the latest counts.',
      },
    ])
    const later = dateOf({ ...facts, deletionApprovedAt: new Date('2028-01-01T00:00:00Z') }, london)
    expect([later.when.toString(), later.decided.rule]).toEqual(['2028-01-01T00:00:00Z', 'deletion-request'])
    expect(later.beaten).toMatchObject([{ rule: 'case-event', beatenBy: 'The latest date counts.' }])
    const unknown = dateOf({ ...facts, cases: [{ status: 'closed', events: {} }] }, london)
    expect([unknown.when, unknown.otherwise, unknown.decided.rule]).toEqual(['keep', 'keep', 'case-event'])
    expect(unknown.beaten).toMatchObject([
      {
        rule: 'deletion-request',
        beatenBy: 'A request does not beat the events of its cases: what is not known means keep.',
      },
    ])
  })

  test('of an exhibit whose policy counts from the recording is that of a request made while it was one', () => {
    const facts = {
      deletionApprovedAt: new Date('2026-02-03T00:00:00Z'),
      exhibitSince: new Date('2026-02-02T00:00:00Z'),
      cases: [{ status: 'closed', events: {} }],
    } as const
    expect(whenOf(facts)).toBe('2026-02-03T00:00:00Z')
    expect(whenOf({ ...facts, policy: null })).toBe('2026-02-03T00:00:00Z')
  })

  test('of an exhibit is not that of a request from before it was one, whatever the policy says', () => {
    const facts = {
      ...plain,
      deletionApprovedAt: new Date('2026-02-03T00:00:00Z'),
      exhibitSince: new Date('2026-02-04T00:00:00Z'),
      cases: [{ status: 'closed', events: { convicted: '2026-02-05' } }],
    } as const
    const { when, decided, beaten } = dateOf({ ...facts, policy: null }, london)
    expect([when, decided.rule]).toEqual(['keep', 'category'])
    expect(beaten).toMatchObject([
      {
        rule: 'deletion-request',
        beatenBy: 'It became an exhibit after that was approved: the request is over.',
      },
    ])
    expect(whenOf({ ...facts, policy: { version: 1, trigger: 'recorded', period: 'P6Y' } })).toBe(
      '2032-01-31T22:15:00Z',
    )
    expect(whenOf({ ...facts, policy: counting('convicted') })).toBe('2026-08-05T23:00:00Z')
    expect(whenOf({ ...facts, policy: counting('charged') })).toBe('keep')
  })

  test('tells in words what decides it', () => {
    expect(dateOf(plain, london).decided.words).toBe(
      'The category "traffic", policy version 1: 31 days from when it was recorded (2026-01-31), until 2026-03-03.',
    )
  })
})

const anyFacts = fc.record({
  category: fc.option(fc.constantFrom('traffic', 'arrest')),
  correctedAt: fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
  receivedAt: fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true }),
  flags: fc.subarray(['truncated', 'clock_drift', 'clock_implausible']),
  examined: fc.constantFrom(true, false),
  policy: fc.option(
    fc.record({
      version: fc.integer({ min: 1, max: 9 }),
      trigger: fc.constantFrom('recorded', ...caseTriggers),
      period: fc.constantFrom('P1D', 'P31D', 'P6M', 'P6Y', 'P1Y6M', 'PT1S'),
    }),
  ),
  cases: fc.subarray([
    { status: 'open', events: {} },
    { status: 'closed', events: { closed: '2026-01-31', convicted: '2024-02-29' } },
    { status: 'closed', events: { closed: '2027-03-28' } },
  ] as const),
  holds: fc.subarray(holdKinds.map((kind) => ({ ...hold, kind }))),
  deletionApprovedAt: fc.option(
    fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true }),
  ),
  exhibitSince: fc.option(fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true })),
})

describe('whatever the facts are', () => {
  test('nothing with a hold, and nothing inside an open case, has a date', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const kept = facts.holds.length > 0 || facts.cases.some(({ status }) => status === 'open')
        return !kept || dateOf(facts, london).when === 'keep'
      }),
    )
  })

  test('an approved deletion makes nothing that a case event keeps go sooner', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const without = dateOf({ ...facts, deletionApprovedAt: null }, london)
        const { when } = dateOf(facts, london)
        if (facts.cases.length === 0 || without.decided.rule !== 'case-event') return true
        if (when === 'keep' || without.when === 'keep') return when === 'keep'
        return Temporal.Instant.compare(when, without.when) >= 0
      }),
    )
  })

  test('one rule decides and every other one is named with what beat it', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { decided, beaten, when } = dateOf(facts, london)
        expect(when).toBe(decided.when)
        for (const { words, beatenBy } of [...beaten, { ...decided, beatenBy: '.' }]) {
          expect(words).toMatch(/\.$/)
          expect(beatenBy).toMatch(/\.$/)
        }
      }),
    )
  })

  test('a further hold or case never makes the date earlier', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const later = {
          ...facts,
          cases: [...facts.cases, { status: 'closed', events: { closed: '2020-01-01' } }],
        } as const
        const [one, other] = [dateOf(facts, london).when, dateOf(later, london).when]
        if (one === 'keep' || other === 'keep') return facts.cases.length === 0 || other === 'keep' || one !== 'keep'
        return Temporal.Instant.compare(other, one) >= 0
      }),
    )
  })
})

const refusal = (text: string): string => {
  try {
    return `taken as ${checkPeriod(text, 'The period')}`
  } catch (error) {
    return error instanceof Problem ? `${error.code}: ${error.message}` : 'another error'
  }
}

describe('a period', () => {
  test.for([
    ['P31D', 'P31D'],
    ['p6m', 'P6M'],
    ['P1Y6M', 'P1Y6M'],
    ['PT2S', 'PT2S'],
    ['P200Y', 'P200Y'],
    ['+P1W', 'P1W'],
  ])('%s is taken', ([text, kept]) => expect(refusal(text ?? '')).toBe(`taken as ${kept}`))

  test.for([
    ['P0D', /zero/],
    ['PT0S', /zero/],
    ['-P31D', /negative/],
    ['P-31D', /negative|not an ISO/],
    ['P1000Y', /longer than 200 years/],
    ['P200Y1D', /longer than 200 years/],
    ['P73051D', /longer than 200 years/],
    ['P99999999999999999999Y', /longer than 200 years|not an ISO/],
    ['P1X', /not an ISO 8601 duration/],
    ['P1.5D', /not an ISO 8601 duration/],
    ['31 days', /not an ISO 8601 duration/],
    ['P', /not an ISO 8601 duration/],
    ['PT', /not an ISO 8601 duration/],
    ['', /not an ISO 8601 duration/],
    ['P1D\n', /not an ISO 8601 duration/],
    ['P١D', /not an ISO 8601 duration/],
  ] as const)('%s is refused in words', ([text, why]) => {
    expect(refusal(text)).toMatch(/^bad-request: The period /)
    expect(refusal(text)).toMatch(why)
  })

  test('is said in words', () => {
    expect(['P1D', 'P6Y6M1D', 'PT2S', 'P1W'].map(periodInWords)).toEqual([
      '1 day',
      '6 years, 6 months and 1 day',
      '2 seconds',
      '1 week',
    ])
  })

  test('from a day is over with the last day, in hours too', () => {
    expect(endFromDay('2026-06-30', 'P1DT2H', london).toString()).toBe('2026-07-02T01:00:00Z')
  })
})
