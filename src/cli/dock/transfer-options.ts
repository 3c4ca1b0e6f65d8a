import { type Command, InvalidArgumentError } from 'commander'
import { mib } from './chunk.ts'
import type { DockOptions } from './open-dock.ts'
import { sidecarHelp } from './sidecar.ts'

/** What `dock upload` and `dock watch` share. */
export type TransferFlags = {
  key: string
  camera: string
  cameraClock?: Date
  parallel: number
  limitRate?: number
  chunk: number
  wipe?: true
  wait: number | false
  patience: number
  receipts?: string
  officer?: string
  category?: string
  incident?: string
  json?: true
}

const wholeFrom =
  (least: number) =>
  (text: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least) return value
    throw new InvalidArgumentError(`Give a whole number, ${least} or more.`)
  }

const slowest = 16 * 1024
const scales: Record<string, number> = { '': 1, k: 1000, m: 1_000_000 }

const rate = (text: string): number => {
  const [, figure = '', unit = ''] = /^(\d{1,12})([kKmM]?)$/.exec(text) ?? []
  const value = figure === '' ? Number.NaN : Number(figure) * (scales[unit.toLowerCase()] ?? 1)
  if (value >= slowest) return value
  throw new InvalidArgumentError(`Give bytes a second, such as 500k or 2M; ${slowest} or more.`)
}

const time = (text: string): Date => {
  const at = new Date(text)
  if (/^\d{4}-\d{2}-\d{2}[Tt]/.test(text) && /([Zz]|[+-]\d{2}:\d{2})$/.test(text) && !Number.isNaN(at.getTime()))
    return at
  throw new InvalidArgumentError('Give a time with its zone, such as 2026-11-25T22:15:00Z.')
}

export const withTransferOptions = (command: Command, receiptSeconds: number): Command =>
  command
    .argument(
      '<folder>',
      'the footage of one camera; folders in it count, names that begin with a dot and links do not',
    )
    .requiredOption('--key <file>', 'key file of this dock, made by dock enrol')
    .requiredOption('--camera <serial>', 'serial of the camera')
    .option('--camera-clock <time>', "what the camera's clock shows now; without it no drift is claimed", time)
    .option('--parallel <files>', 'files at once', wholeFrom(1), 4)
    .option('--limit-rate <bytes/s>', 'for all files together, such as 500k or 2M', rate)
    .option('--chunk <MiB>', 'largest piece that is sent under one digest', wholeFrom(1), 32)
    .option(
      '--wipe',
      "delete a file once its receipt is verified with the installation's key and is for this very file",
    )
    .option('--wait <seconds>', 'how long to wait for receipts', wholeFrom(0), receiptSeconds)
    .option('--no-wait', 'do not wait for receipts')
    .option(
      '--patience <seconds>',
      'how long to wait between tries, in all, while nothing gets through',
      wholeFrom(1),
      300,
    )
    .option('--receipts <folder>', 'keep every receipt there')
    .option('--officer <collar>', "the dock's word on whose footage it is; the assignment decides")
    .option('--category <category>', 'of every file')
    .option('--incident <reference>', 'of every file')
    .option('--json', 'tell the outcomes as JSON on standard output')
    .addHelpText('after', sidecarHelp)

export const dockOptions = (folder: string, flags: TransferFlags): DockOptions => ({
  folder,
  keyFile: flags.key,
  camera: flags.camera,
  clocks: flags.cameraClock === undefined ? undefined : { camera: flags.cameraClock, dock: new Date() },
  parallel: flags.parallel,
  bytesPerSecond: flags.limitRate,
  chunkBytes: flags.chunk * mib,
  wipe: flags.wipe,
  wait: flags.wait,
  patience: flags.patience,
  receiptsFolder: flags.receipts,
  officer: flags.officer,
  category: flags.category,
  incident: flags.incident,
})

/** Ends with the first SIGINT or SIGTERM, so that what is in hand can be left in order; a second one ends the process. */
export const untilStopped = (): AbortSignal => {
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort())
  return stopping.signal
}
