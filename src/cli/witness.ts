import { Command } from 'commander'
import { vkeyOf } from '../base/note.ts'
import { systemClock } from '../engines/clock.ts'
import { makeLog } from '../engines/log.ts'
import { openWitnessFolder, type WitnessFolder } from '../ledger/witness/folder.ts'
import { makeWitnessServer } from '../ledger/witness/serve.ts'
import { makeWitness, readLogKeys, type Witness } from '../ledger/witness/witness.ts'
import { Failure } from './failure.ts'
import { onNpmEnd } from './up/npm.ts'

type Listen = { host: string; port: number }
type Options = { data: string; name: string; listen: string; log: string[]; json?: true }

const readListen = (text: string): Listen => {
  const { host, bracketed, port } =
    /^(?:\[(?<bracketed>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {}
  const address = bracketed ?? host
  if (address !== undefined && Number(port) <= 65_535) return { host: address, port: Number(port) }
  throw new Failure(
    `${text} is no address to listen on: write it as 127.0.0.1:8090 or [::1]:8090; port 0 is any free one.`,
  )
}

const readName = (text: string): string => {
  if (/^[^+\s\p{White_Space}\p{Cc}]{1,200}$/u.test(text)) return text
  throw new Failure(
    `The name of a witness has no spaces and no plus, as in witness.example/w1, and at most 200 characters.`,
  )
}

const addKey = (text: string, before: string[] = []): string[] => [...before, text]

const inWords = (url: string, data: string, { isNew }: WitnessFolder, { key, logs }: Witness): string =>
  [
    '',
    `  The witness listens at  ${url}`,
    `  Its key${isNew ? ', made now ' : '           '}      ${vkeyOf(key)}`,
    `  It watches              ${logs.join(', ')}`,
    `  What it has seen        ${data}`,
    '',
    '  A log is given the key and the address. Ctrl-C stops it.',
  ].join('\n')

/** Resolves at the first signal that asks to stop, or when npm was; a second Ctrl-C does not wait. */
const whenAsked = async (): Promise<void> =>
  await new Promise((resolve) => {
    let asked = false
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (asked && name === 'SIGINT') process.exit(130)
        asked = true
        resolve()
      })
    }
    onNpmEnd(resolve)
  })

export const witnessCommand = (): Command =>
  new Command('witness')
    .description('Run a witness of logs (C2SP tlog-witness): cosigns what only ever grows; needs nothing but a folder')
    .requiredOption('--data <folder>', 'where its key and what it has seen are kept; made at the first start')
    .requiredOption('--name <name>', 'its name for ever, such as witness.example/w1', readName)
    .requiredOption('--log <vkey>', 'key of a log it watches; may be given again, also for the same log', addKey)
    .option('--listen <host:port>', 'where it listens; port 0: any free one', '127.0.0.1:8090')
    .option('--json', 'first line of output, when ready: {"url", "vkey"}')
    .addHelpText(
      'after',
      '\nLog lines go to the standard error; LOG_LEVEL is trace, debug, info (where not set), warn or error.',
    )
    .action(async ({ data, name, listen: place, log: vkeys, json }: Options) => {
      const listen = readListen(place)
      // The terminal may be gone before we are.
      process.stderr.on('error', () => undefined)
      const stopped = whenAsked()
      const logs = readLogKeys(vkeys)
      const folder = await openWitnessFolder(data, name)
      const witness = makeWitness(folder, logs, systemClock)
      const server = makeWitnessServer(witness, makeLog(process.env.LOG_LEVEL ?? 'info', 'witness', 2))
      const url = await server.listen(listen).catch((cause: unknown) => {
        throw new Failure(`${place} cannot be listened on: is it taken, or of another machine?`, cause)
      })
      console.log(json ? JSON.stringify({ url, vkey: vkeyOf(folder.key) }) : inWords(url, data, folder, witness))
      await stopped
      await server.close()
      await folder.close()
    })
