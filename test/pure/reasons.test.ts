import { describe, expect, it } from 'vitest'
import { newId, type PersonId } from '../../src/base/ids.ts'
import { type Config, readConfig } from '../../src/engines/config.ts'
import { checkReason } from '../../src/people/reasons.ts'
import type { Role } from '../../src/people/role.ts'

const config = (codes: Record<string, string[]> = {}): Config =>
  readConfig({
    DATABASE_URL: 'x',
    REDIS_URL: 'x',
    S3_ENDPOINT: 'x',
    S3_ACCESS_KEY: 'x',
    S3_SECRET_KEY: 'x',
    OIDC_ISSUER: 'x',
    RECEIPT_KEY_FILE: 'x',
    LOG_KEY_FILE: 'x',
    REASON_CODES: JSON.stringify(codes),
  })
const someone = (...roles: Role[]) => ({ id: newId<PersonId>(), name: 'A', roles })
const refusal = expect.objectContaining({ code: 'bad-request' })

describe('a reason', () => {
  it('is any text where there is no list of codes', () => {
    expect(checkReason(config(), someone('investigator'), '  Complaint 26/0193 ')).toBe('Complaint 26/0193')
  })

  it('must say something', () => {
    for (const reason of ['', '   ', '\n\t']) {
      expect(() => checkReason(config(), someone('investigator'), reason)).toThrow(refusal)
    }
  })

  it('has 500 characters at most', () => {
    expect(checkReason(config(), someone('investigator'), 'x'.repeat(500))).toHaveLength(500)
    expect(() => checkReason(config(), someone('investigator'), 'x'.repeat(501))).toThrow(refusal)
  })

  it('is one of the codes of the role where it has a list, alone or followed by a colon and text', () => {
    const listed = config({ investigator: ['case', 'complaint'] })
    expect(checkReason(listed, someone('investigator'), 'case')).toBe('case')
    expect(checkReason(listed, someone('investigator'), 'complaint: 26/0193')).toBe('complaint: 26/0193')
    for (const reason of ['cases', 'case 12', 'case:12', 'curiosity', ': case']) {
      expect(() => checkReason(listed, someone('investigator'), reason), reason).toThrow(refusal)
    }
  })

  it('of another role is not bound by that list', () => {
    expect(checkReason(config({ investigator: ['case'] }), someone('supervisor'), 'curiosity')).toBe('curiosity')
  })
})
