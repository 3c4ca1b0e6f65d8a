#!/usr/bin/env node
import { Command } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { sentence } from './failure.ts'

/** Every command of `exhibit`, in the order in which `--help` lists them. One that is asked for is loaded alone. */
const commands: Record<string, () => Promise<Command>> = {
  demo: async () => (await import('./demo.ts')).demoCommand(),
  up: async () => (await import('./up.ts')).upCommand(),
  token: async () => (await import('./token.ts')).tokenCommand(),
  dock: async () => (await import('./dock/command.ts')).dockCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
  ledger: async () => (await import('./ledger.ts')).ledgerCommand(),
  witness: async () => (await import('./witness.ts')).witnessCommand(),
  retention: async () => (await import('./retention.ts')).retentionCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
  buckets: async () => (await import('./buckets.ts')).bucketsCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  routes: async () => (await import('./routes.ts')).routesCommand(),
}

const exhibit = async (asked = ''): Promise<Command> => {
  const program = new Command('exhibit')
    .description(manifest.description)
    .version(manifest.version)
    .showHelpAfterError('(--help tells more)')
    .addHelpText(
      'after',
      '\nA command ends with 0 only when it did what it was asked. EXHIBIT_DEBUG=1 shows where an error came from.',
    )
  const load = Object.hasOwn(commands, asked) ? commands[asked] : undefined
  for (const make of load === undefined ? Object.values(commands) : [load]) program.addCommand(await make())
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

await exhibit(process.argv[2])
  .then(async (program) => await program.parseAsync())
  .catch(fail)
