import { describe, expect, it } from 'vitest'
import { newId, type PersonId } from '../../src/base/ids.ts'
import { inWords, mayAnyone, mayDock, mayPerson, type Permission, permissions } from '../../src/people/permissions.ts'
import { actor, type Person } from '../../src/people/person.ts'
import { type Role, roles } from '../../src/people/role.ts'

const isPermission = (name: string): name is Permission => name in permissions
const all = Object.keys(permissions).filter(isPermission)
const rolesThat = (permission: Permission): Role[] => roles.filter((role) => mayPerson([role], permission))

describe('the table of permissions', () => {
  it('never lets an admin or an auditor near footage', () => {
    for (const permission of all.filter((name) => /^(recording|receipt|upload)\./.test(name) && !mayAnyone(name))) {
      expect(rolesThat(permission), permission).not.toContain('admin')
      expect(rolesThat(permission), permission).not.toContain('auditor')
    }
  })

  it('shows retention the facts of recordings and never gives it footage', () => {
    expect(rolesThat('recording.read')).toContain('retention')
    expect(rolesThat('recording.download')).not.toContain('retention')
  })

  it('gives originals to investigators and supervisors alone', () => {
    expect(rolesThat('recording.download')).toEqual(['investigator', 'supervisor'])
  })

  it('keeps the work lists of ingest to supervisors', () => {
    const lists = [
      'upload.list',
      'upload.keep',
      'recording.accept',
      'recording.discard',
      'recording.approve-discard',
    ] as const
    for (const permission of lists) expect(rolesThat(permission), permission).toEqual(['supervisor'])
  })

  it('lets disclosure read cases and exhibits, and keeps changing them to investigators and supervisors', () => {
    const theirs = all.filter((name) => /^(case|exhibit)\./.test(name))
    expect(theirs.length).toBeGreaterThanOrEqual(11)
    const reading = ['case.list', 'case.read', 'exhibit.read']
    for (const permission of theirs) {
      const more = reading.includes(permission) ? ['disclosure'] : []
      expect(rolesThat(permission), permission).toEqual(expect.arrayContaining(['investigator', 'supervisor', ...more]))
      expect(rolesThat(permission), permission).toHaveLength(2 + more.length)
    }
  })

  it('keeps docks, cameras, people and jobs to admins', () => {
    const theirs = all.filter((name) => /^(dock|person|job)\.|^camera\.(register|list|assign)$/.test(name))
    expect(theirs.length).toBeGreaterThanOrEqual(10)
    for (const permission of theirs) {
      expect(rolesThat(permission), permission).toEqual(['admin'])
      expect(mayDock(permission), permission).toBe(false)
    }
  })

  it('lets docks upload, announce, and ask for receipts and shortfalls, and nothing else that needs a token', () => {
    const theirs = all.filter((permission) => mayDock(permission) && !mayAnyone(permission))
    expect(theirs.sort()).toEqual(['camera.shortfall', 'manifest.announce', 'receipt.read', 'upload.write'])
  })

  it('gives a person with several roles what any of them may', () => {
    expect(mayPerson(['auditor', 'investigator'], 'recording.read')).toBe(true)
    expect(mayPerson([], 'me.read')).toBe(true)
    expect(mayPerson([], 'recording.read')).toBe(false)
  })

  it('can be read', () => {
    expect(inWords('ledger.read')).toBe('anyone')
    expect(inWords('me.read')).toBe('any person')
    expect(inWords('camera.shortfall')).toBe('docks, supervisor, admin')
  })
})

describe('an entry', () => {
  it('names a person by id and by the role they act in', () => {
    const person: Person = { id: newId<PersonId>(), name: 'A', roles: ['auditor', 'admin'] }
    expect(actor(person, 'dock.enrol')).toEqual({ kind: 'person', id: person.id, role: 'admin' })
    expect(actor(person)).toEqual({ kind: 'person', id: person.id, role: 'auditor' })
    expect(actor({ ...person, roles: [] })).toEqual({ kind: 'person', id: person.id })
  })
})
