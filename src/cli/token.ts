import { Command } from 'commander'
import { isIdentityRole, subjectOf } from '../engines/embedded/identity-people.ts'
import { issueToken } from '../engines/embedded/issue-token.ts'
import { Failure } from './failure.ts'
import { defaultDataDir, whereaboutsOf } from './up/whereabouts.ts'

const roles = ['officer', 'investigator', 'disclosure', 'supervisor', 'retention', 'auditor', 'admin']

/** `officer` and `officer:1` are the first of the two people of that role, `officer:2` the second. Throws Failure. */
const readPerson = (text: string) => {
  const [, role = '', which = '1'] = /^([a-z]+)(?::([12]))?$/.exec(text) ?? []
  if (isIdentityRole(role)) return { role, which: Number(which) }
  throw new Failure(`${text} is nobody: name a role (${roles.join(', ')}), with :2 for its second person.`)
}

export const tokenCommand = (): Command =>
  new Command('token')
    .description('Print a token of an hour for one of the people of the embedded stack')
    .requiredOption('--as <role>', 'whose: a role, or for example officer:2 for its second person', readPerson)
    .option('--data <folder>', 'data folder of the stack', defaultDataDir)
    .option('--json', 'answer as JSON')
    .action(async ({ as, data, json }: { as: ReturnType<typeof readPerson>; data: string; json?: true }) => {
      const { issuer } = whereaboutsOf(data)
      const token = await issueToken({ issuer, ...as })
      console.log(json ? JSON.stringify({ token, subject: subjectOf(as.role, as.which) }) : token)
    })
