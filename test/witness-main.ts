import { witnessCommand } from '../src/cli/witness.ts'

await witnessCommand().parseAsync()
