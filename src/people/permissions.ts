import type { Operation } from '../ledger/entry.ts'
import type { Role } from './role.ts'

/**
 * Who may do it: `anyone`, without a token; else people who hold one of the roles (`any`: every person), and docks or not.
 * `operation` is the word under which a refusal is recorded.
 */
export type Rule = 'anyone' | { people: readonly Role[] | 'any'; docks: boolean; operation: Operation }

const people = (operation: Operation, ...roles: Role[]) => ({ people: roles, docks: false, operation }) satisfies Rule
const docks = (operation: Operation, ...roles: Role[]) => ({ people: roles, docks: true, operation }) satisfies Rule

const supervisors = ['investigator', 'supervisor'] as const
const keepers = ['retention', 'supervisor'] as const
const seers = ['officer', 'investigator', 'disclosure', 'supervisor'] as const

/** The one table of who may call what. Every route names its line; who sees which recording is `visibility.ts`. */
export const permissions = {
  'me.read': { people: 'any', docks: false, operation: 'administration' },
  'person.list': people('administration', 'admin'),
  'person.suspend': people('administration', 'admin'),

  'dock.enrol': people('administration', 'admin'),
  'dock.list': people('administration', 'admin'),
  'dock.replace-key': people('administration', 'admin'),
  'dock.suspend': people('administration', 'admin'),
  'camera.register': people('administration', 'admin'),
  'camera.list': people('administration', 'admin'),
  'camera.assign': people('administration', 'admin'),
  'camera.shortfall': docks('collection', 'supervisor', 'admin'),

  'manifest.announce': docks('collection'),
  'upload.options': 'anyone',
  'upload.write': docks('collection'),
  'upload.list': people('consultation', 'supervisor'),
  'upload.keep': people('collection', 'supervisor'),
  'receipt.read': docks('consultation', ...seers, 'retention'),

  'recording.list': people('consultation', ...seers, 'retention'),
  'recording.read': people('consultation', ...seers, 'retention'),
  'recording.download': people('consultation', ...supervisors),
  'recording.accept': people('alteration', 'supervisor'),
  'recording.discard': people('erasure', 'supervisor'),
  'recording.approve-discard': people('erasure', 'supervisor'),
  'rendition.remake': people('administration', 'admin'),
  'clip.download': people('consultation', ...supervisors, 'disclosure'),
  'bundle.download': people('disclosure', 'disclosure', ...supervisors),
  'download.fetch': 'anyone',
  'recording.viewing': people('consultation', ...seers),
  'recording.thumbnails': people('consultation', ...seers),
  'viewing.read': people('consultation', ...seers),
  'viewing.watch': 'anyone',
  'clip.request': people('consultation', ...supervisors),
  'clip.read': people('consultation', ...supervisors, 'disclosure'),
  'clip.list': people('consultation', ...supervisors, 'disclosure'),

  'case.open': people('administration', ...supervisors),
  'case.list': people('consultation', ...supervisors, 'disclosure'),
  'case.read': people('consultation', ...supervisors, 'disclosure'),
  'case.change': people('administration', ...supervisors),
  'case.set-members': people('administration', ...supervisors),
  'case.note-event': people('administration', ...supervisors),
  'exhibit.add': people('combination', ...supervisors),
  'exhibit.read': people('consultation', ...supervisors, 'disclosure'),
  'exhibit.change': people('alteration', ...supervisors),
  'exhibit.withdraw': people('alteration', ...supervisors),
  'exhibit.move': people('combination', ...supervisors),

  'custody.read': people('consultation', ...seers, 'retention', 'auditor'),

  'bundle.request': people('disclosure', 'disclosure'),
  'bundle.read': people('consultation', ...supervisors, 'disclosure'),

  'policy.list': people('administration', ...keepers, 'auditor'),
  'policy.draft': people('administration', 'retention'),
  'policy.simulate': people('administration', ...keepers),
  'policy.approve': people('administration', ...keepers),
  'retention.read': people('consultation', ...seers, 'retention'),
  'retention.due': people('consultation', ...keepers),
  'hold.list': people('consultation', ...seers, 'retention'),
  'hold.place': people('administration', ...supervisors, 'disclosure'),
  'hold.release': people('administration', ...supervisors, 'disclosure'),
  'deletion.ask': people('erasure', ...keepers),
  'deletion.approve': people('erasure', ...keepers),
  'purge.start': people('erasure', ...keepers),
  'purge.read': people('consultation', ...keepers),
  'purge.release': people('erasure', ...keepers),
  'recording.restore': people('alteration', ...keepers),
  'recording.readmit': people('collection', 'supervisor'),
  'erasure.read': people('consultation', ...seers, 'retention'),

  'job.list': people('administration', 'admin'),
  'job.retry': people('administration', 'admin'),

  'entry.list': people('consultation', 'auditor'),
  'entry.read': people('consultation', 'auditor'),
  'entry.export': people('consultation', 'auditor'),

  'ledger.read': 'anyone',
  health: 'anyone',
  docs: 'anyone',
} as const satisfies Record<string, Rule>

export type Permission = keyof typeof permissions

export const ruleOf = (permission: Permission): Rule => permissions[permission]

export const mayAnyone = (permission: Permission): boolean => ruleOf(permission) === 'anyone'

export const mayPerson = (roles: readonly Role[], permission: Permission): boolean => {
  const rule = ruleOf(permission)
  if (rule === 'anyone') return true
  const { people: allowed } = rule
  return allowed === 'any' || roles.some((role) => allowed.includes(role))
}

export const mayDock = (permission: Permission): boolean => {
  const rule = ruleOf(permission)
  return rule === 'anyone' || rule.docks
}

/** The rule in words, for the printed table. */
export const inWords = (permission: Permission): string => {
  const rule = ruleOf(permission)
  if (rule === 'anyone') return 'anyone'
  const who = rule.people === 'any' ? ['any person'] : [...rule.people]
  return [...(rule.docks ? ['docks'] : []), ...who].join(', ')
}
