import { describe, expect, it } from 'vitest'
import { timeFault } from '../../src/docks/token.ts'

const now = 1_800_000_000
const times = (iat: number, exp: number) => timeFault({ iat: now + iat, exp: now + exp }, now)

describe("the times of a dock's token", () => {
  it.each([
    ['just made, ten minutes long', 0, 600],
    ['about to expire', -599, 1],
    ['by a clock a minute ahead', 60, 660],
    ['with fractions', -0.5, 10.25],
  ])('are in range when it is %s', (_what, iat, exp) => {
    expect(times(iat, exp)).toBeUndefined()
  })

  it.each([
    ['ends as it begins', 0, 0, /not after/],
    ['lives a second too long', 0, 601, /600/],
    ['comes from more than a minute ahead', 61, 300, /ahead/],
    ['ends now', -300, 0, /expired/],
    ['is never-ending', 0, Number.POSITIVE_INFINITY, /600/],
  ])('are out of range when it %s', (_what, iat, exp, said) => {
    expect(times(iat, exp)).toMatch(said)
  })
})
