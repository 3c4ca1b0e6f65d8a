import { Command } from 'commander'
import { makeKeyFile, readKeyFile } from '../engines/receipt-key.ts'
import { Failure } from './failure.ts'
import { rotateCommand } from './rotate-keys.ts'

const alreadyThere = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EEXIST'

const makeCommand = (): Command =>
  new Command('make')
    .description('Make a key that signs: what RECEIPT_KEY_FILE or LOG_KEY_FILE names')
    .argument('<file>', 'where it is kept, for its owner only; a file that is there is never replaced')
    .option('--if-missing', 'a key that is there already will do')
    .option('--json', 'answer as JSON')
    .action(async (file: string, { ifMissing, json }: { ifMissing?: true; json?: true }) => {
      const key = await makeKeyFile(file).catch(async (error: unknown) => {
        if (!alreadyThere(error)) throw error
        if (ifMissing) return await readKeyFile(file)
        throw new Failure(`${file} is there already and was left as it is: name another file.`, error)
      })
      const { kid, publicJwk } = key
      console.log(
        json ? JSON.stringify({ kid, publicJwk }) : `${file} holds the key ${kid}. Keep a copy apart from the data.`,
      )
    })

export const keysCommand = (): Command =>
  new Command('keys').description('The keys of an installation').addCommand(makeCommand()).addCommand(rotateCommand())
