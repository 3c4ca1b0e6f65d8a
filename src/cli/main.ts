#!/usr/bin/env node
import { Command } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { bucketsCommand } from './buckets.ts'
import { demoCommand } from './demo.ts'
import { dockCommand } from './dock/command.ts'
import { doctorCommand } from './doctor.ts'
import { sentence } from './failure.ts'
import { keysCommand } from './keys.ts'
import { migrateCommand } from './migrate.ts'
import { retentionCommand } from './retention.ts'
import { routesCommand } from './routes.ts'
import { tokenCommand } from './token.ts'
import { upCommand } from './up.ts'
import { verifyCommand } from './verify.ts'

/** Every command of `exhibit`, in the order in which `--help` lists them. */
const commands: (() => Command)[] = [
  demoCommand,
  upCommand,
  tokenCommand,
  dockCommand,
  verifyCommand,
  retentionCommand,
  doctorCommand,
  migrateCommand,
  bucketsCommand,
  keysCommand,
  routesCommand,
]

const exhibit = (): Command => {
  const program = new Command('exhibit')
    .description(manifest.description)
    .version(manifest.version)
    .showHelpAfterError('(--help tells more)')
    .addHelpText(
      'after',
      '\nA command ends with 0 only when it did what it was asked. EXHIBIT_DEBUG=1 shows where an error came from.',
    )
  for (const make of commands) program.addCommand(make())
  return program
}

const fail = (error: unknown): void => {
  console.error(process.env.EXHIBIT_DEBUG ? error : sentence(error))
  process.exitCode = 1
}

process.on('uncaughtException', (error) => {
  fail(error)
  process.exit()
})
// A reader that has seen enough, such as `head`, is no error to tell of; but what was asked was not done to the end.
process.stdout.on('error', () => process.exit(1))

await exhibit().parseAsync().catch(fail)
