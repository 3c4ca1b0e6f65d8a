import { createInterface } from 'node:readline/promises'
import { Command, Option } from 'commander'
import { systemClock } from '../engines/clock.ts'
import { readConfig } from '../engines/config.ts'
import { makeLog } from '../engines/log.ts'
import { refuseWrongSchema } from '../engines/migrate.ts'
import { connect, databaseLost } from '../engines/postgres.ts'
import { makeStore } from '../engines/store.ts'
import { type Rotated, type Rotating, rotateReceiptKey } from '../ledger/keys/key-rotation.ts'
import { type RotatedLog, rotateLogKey } from '../ledger/keys/log-rotation.ts'
import { Failure } from './failure.ts'
import { environmentMeant } from './up/whereabouts.ts'

type Use = 'receipts' | 'log'
type Options = {
  use: Use
  data?: string
  keepOld?: true
  lost?: true
  origin?: string
  abandon?: string
  yes?: true
  json?: true
}

/** As the owner of the database: the application may retire no key. */
const withOwner = async <T>(data: string | undefined, work: (engines: Rotating) => Promise<T>): Promise<T> => {
  const config = readConfig(environmentMeant(data, 'DATABASE_OWNER_URL'))
  const { DATABASE_OWNER_URL: ownerUrl } = config
  if (ownerUrl === undefined) throw new Failure('Set DATABASE_OWNER_URL, or name a data folder with --data.')
  const log = makeLog(config.LOG_LEVEL, 'keys', 2)
  const db = connect(ownerUrl, 4, log)
  const store = makeStore(config)
  try {
    await refuseWrongSchema(db)
    return await work({ clock: systemClock, config, db, log, store })
  } catch (error) {
    throw databaseLost(error) ? new Failure('The database at DATABASE_OWNER_URL does not answer.', error) : error
  } finally {
    store.close()
    await db.destroy()
  }
}

const warnings = ({ use, keepOld, abandon }: Options, file: string): string[] => [
  use === 'receipts'
    ? 'The key that signs receipts and proofs of erasure is retired, and a new one takes its place.'
    : 'The log ends here, and a new one begins under a new key and a new name. Its witnesses have to be told.',
  ...(abandon === undefined
    ? []
    : ['The old log is left as it stands; what of it is not published yet becomes part of the new one.']),
  keepOld
    ? `The old private key is kept beside ${file}.`
    : `The old private key in ${file} is destroyed there; copies elsewhere are yours to destroy.`,
]

/** Throws Failure unless a person at a terminal, or `--yes`, says so. */
const askFirst = async (lines: readonly string[], { yes }: Options): Promise<void> => {
  if (yes) return
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Failure('Nothing was changed: nobody is here to ask, so say --yes.')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const said = await terminal.question(`${lines.join('\n')}\nType yes to go on: `).finally(() => terminal.close())
  if (said.trim() !== 'yes') throw new Failure('Nothing was changed.')
}

const fate = ({ file, kept, ended }: Rotated, keepOld: boolean): string =>
  kept !== undefined
    ? `The old private key is kept in ${kept}: keep it apart, or destroy it.`
    : ended || keepOld
      ? `${file} holds the key in force.`
      : `${file} holds it; the old private key was destroyed there.`

const ofReceipts = (rotated: Awaited<ReturnType<typeof rotateReceiptKey>>): string[] =>
  rotated.ended
    ? [`A rotation that had been cut short is ended: ${rotated.kid} signs receipts.`]
    : [
        `${rotated.kid} signs receipts from now on; ${rotated.retired} is retired.`,
        'Docks wipe nothing on the new key before a person accepts it there (exhibit dock keys).',
      ]

const ofLog = ({ origin, vkey, ended, left }: RotatedLog): string[] =>
  left === undefined || ended
    ? [`A rotation that had been cut short is ended: the log is ${origin}.`]
    : [
        `The log is ${origin} from now on; ${left.origin} ended with a size of ${left.size}.`,
        `Give its key to the witnesses and to whoever watches it: ${vkey}`,
      ]

export const rotateCommand = (): Command =>
  new Command('rotate')
    .description('Retire a key that signs and put a new one in force, while the installation runs')
    .addOption(
      new Option('--use <what>', 'which key: of the receipts, or of the log')
        .choices(['receipts', 'log'])
        .makeOptionMandatory(),
    )
    .option('--data <folder>', 'the installation of this data folder, in place of the environment')
    .option('--keep-old', 'keep the old private key, under its own name, beside the new one')
    .option('--lost', 'the private key in force is on no machine any more')
    .option('--origin <name>', 'with log: the name of the new log, such as log.example.org/exhibit-2')
    .option('--abandon <reason>', 'with log: leave it as it stands, though it is halted or its data is lost')
    .option('--yes', 'do not ask first')
    .option('--json', 'answer as JSON')
    .addHelpText(
      'after',
      '\nWorks as the owner of the database (DATABASE_OWNER_URL) and writes the new key to the file that RECEIPT_KEY_FILE or' +
        '\nLOG_KEY_FILE names. A key that waits beside it as <file>.next is taken. Cut short, run it again: it goes on.',
    )
    .action(async (options: Options) => {
      const { use, data, keepOld = false, lost = false, origin, abandon, json } = options
      if (use === 'receipts' && (origin !== undefined || abandon !== undefined))
        throw new Failure('--origin and --abandon go with --use log.')
      await withOwner(data, async (engines) => {
        const { RECEIPT_KEY_FILE, LOG_KEY_FILE } = engines.config
        await askFirst(warnings(options, use === 'receipts' ? RECEIPT_KEY_FILE : LOG_KEY_FILE), options)
        const wish = {
          keepOld,
          lost,
          ...(origin === undefined ? {} : { origin }),
          ...(abandon === undefined ? {} : { abandon }),
        }
        const [rotated, words] =
          use === 'receipts'
            ? await rotateReceiptKey(engines, wish).then((done) => [done, ofReceipts(done)] as const)
            : await rotateLogKey(engines, wish).then((done) => [done, ofLog(done)] as const)
        console.log(json ? JSON.stringify({ use, ...rotated }) : [...words, fate(rotated, keepOld)].join('\n'))
      })
    })
