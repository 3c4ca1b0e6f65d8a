// `node scripts/env-example.ts`: writes `.env.example` from the configuration's schema. test/pure/configuration.test.ts holds
// the file against the schema, so run it after a change of the schema.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Environment } from '../src/engines/config.ts'

const required = new Set<string>(Environment.required)

const Variable = Type.Object({ description: Type.String(), default: Type.Optional(Type.Unknown()) })

const entries = Object.entries(Environment.properties).map(([name, schema]: [string, unknown]) => {
  if (!Value.Check(Variable, schema)) throw new Error(`${name} has no description`)
  const { description, default: preset } = schema
  const mark = required.has(name) && preset === undefined ? ' (no default: must be set)' : ''
  return `# ${description}${mark}\n${name}=${preset ?? ''}\n`
})

const head = `# Everything the api and the worker read from their environment, with what they take where nothing is set. An empty
# variable counts as absent. Start them with \`node --env-file=.env src/api/main.ts\`, or as docs/operate.md tells.
`

writeFileSync(path.join(path.dirname(import.meta.dirname), '.env.example'), [head, ...entries].join('\n'))
