import { createInterface } from 'node:readline/promises'
import { Command } from 'commander'
import type { Range } from '../../ledger/recover/going-over.ts'
import { NotRecovered } from '../../ledger/recover/not-recovered.ts'
import { isNeeded, type Recovery, recoverLedger } from '../../ledger/recover/recover.ts'
import { Failure } from '../failure.ts'
import { printable } from '../words.ts'
import { addFile, leavesBar, reachLedger, readGiven } from './reach.ts'

type Options = { data?: string; checkpoint?: string[]; yes?: true; json?: true }

const rangeOf = ({ leaves, first, last }: Range): string =>
  leaves === 0 ? '0' : leaves === 1 ? `1 (leaf ${first})` : `${leaves} (leaves ${first} to ${last})`

const facts = ({ origin, has, checkpoint, missing, lost, tiles, aside, halted, unasked }: Recovery): string[] => [
  `The log ${origin}`,
  `  leaves in this database    ${has}`,
  `  whole again up to          ${checkpoint === null ? 'nothing: nobody holds a checkpoint' : `${checkpoint.size} leaves (${printable(checkpoint.holder)})`}`,
  `  leaves to be taken over    ${rangeOf(missing)}`,
  `  of these without an entry  ${rangeOf(lost)}`,
  ...(tiles === 0 ? [] : [`  tiles to be made again     ${tiles}, which the store does not hold`]),
  ...(aside === 0 ? [] : [`  tiles to be put aside      ${aside}, of a checkpoint that never came`]),
  ...(halted === null ? [] : [`  why it stands still        ${printable(halted)}`]),
  ...unasked.map((name) => `  not known                  what the witness ${printable(name)} has seen: it did not say`),
]

const intent = ({ missing, lost, stays }: Recovery): string[] => [
  ...(missing.leaves === 0
    ? []
    : [
        'Those leaves are written into the database; an entry that waits here takes its own leaf again. What the lost entries said',
        `cannot be had back: of ${lost.leaves} leaves only the proof stays that there was an entry. An entry of its own records this.`,
      ]),
  stays === null ? 'The log then goes on.' : `The log does not go on. ${stays}`,
]

/** Throws Failure unless a person at a terminal says so. */
const askFirst = async (lines: readonly string[]): Promise<void> => {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Failure('Nothing was changed: nobody is here to ask, so say --yes.')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const said = await terminal.question(`${lines.join('\n')}\nType yes to go on: `).finally(() => terminal.close())
  if (said.trim() !== 'yes') throw new Failure('Nothing was changed.')
}

const done = (recovery: Recovery): string =>
  recovery.stays === null
    ? `The log goes on. Entry ${recovery.entry} records what was recovered and what was lost.`
    : `What could be was recovered, and entry ${recovery.entry} records it. The log does not go on. ${recovery.stays}`

const inFailure = (error: unknown): unknown =>
  error instanceof NotRecovered ? new Failure(error.message, error) : error

export const recoverCommand = (): Command =>
  new Command('recover')
    .description(
      'After an older backup of the database was restored: take the missing leaves from the store, and go on',
    )
    .option('--data <folder>', 'the installation of this data folder, in place of the environment')
    .option('--checkpoint <file>', 'a checkpoint that somebody else kept; may be given again', addFile)
    .option('--yes', 'do it; without it, it is told what would be done, and at a terminal asked')
    .option('--json', 'answer as JSON')
    .addHelpText(
      'after',
      '\nWorks as the owner of the database (DATABASE_OWNER_URL). All of it is done or nothing. Ends with 0 when the log is whole' +
        '\nand goes on. Where anybody holds a checkpoint that cannot be made up any more, nothing can let this log go on.',
    )
    .action(async ({ data, checkpoint, yes, json }: Options) => {
      const given = await readGiven(checkpoint)
      await reachLedger(data, 'DATABASE_OWNER_URL', async (engines) => {
        const once = async (write: boolean): Promise<Recovery> => {
          const bar = leavesBar(json === true)
          const moved = (leaves: number, of: number): void => bar.moved('the log', leaves, of)
          return await recoverLedger(engines, { given, write, moved }).finally(bar.close)
        }
        const found = await once(false)
        if (isNeeded(found) && !yes) {
          console.log(json ? JSON.stringify(found) : facts(found).join('\n'))
          await askFirst(intent(found))
        }
        const recovery = isNeeded(found) ? await once(true) : found
        if (json) console.log(JSON.stringify(recovery))
        else if (recovery.entry !== undefined) console.log(done(recovery))
        else console.log(recovery.stays ?? 'Nothing is missing, and the log goes on.')
        if (recovery.stays !== null) process.exitCode = 1
      }).catch((error: unknown) => {
        throw inFailure(error)
      })
    })
