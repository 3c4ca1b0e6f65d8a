import { Command } from 'commander'
import { readConfig } from '../engines/config.ts'
import { makeLog } from '../engines/log.ts'
import { examine, type Finding, type State } from './doctor/check.ts'
import { engineChecks } from './doctor/engines.ts'
import { machineChecks } from './doctor/machine.ts'
import { environmentMeant } from './up/whereabouts.ts'

const marks: Record<State, string> = { well: '✓', weak: '!', broken: '✗' }

const inLines = (findings: readonly Finding[]): string => {
  const width = Math.max(...findings.map(({ name }) => name.length))
  return findings.map(({ name, state, says }) => `${marks[state]} ${name.padEnd(width + 2)}${says}`).join('\n')
}

export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('Look at each part of an installation, and say in words how it is and what the store enforces')
    .option('--data <folder>', 'the installation of this data folder, in place of the environment')
    .option('--json', 'answer as JSON')
    .addHelpText('after', '\n✓ well, ! works but wants a look, ✗ broken. Ends with 1 when anything is broken.')
    .action(async ({ data, json }: { data?: string; json?: true }) => {
      const environment = environmentMeant(data, 'DATABASE_URL')
      const config = readConfig(environment)
      const log = makeLog('silent', 'doctor')
      const checks = [...engineChecks(config, log), ...machineChecks(config, log, data)]
      const findings = await Promise.all(checks.map(examine))
      const ok = findings.every(({ state }) => state !== 'broken')
      console.log(json ? JSON.stringify({ ok, findings }) : inLines(findings))
      // A server that stood still may still hold a connection open.
      process.exit(ok ? 0 : 1)
    })
