import { Command, InvalidArgumentError } from 'commander'
import { showProgress, silentProgress } from '../progress.ts'
import type { DockEvent } from './outcome.ts'
import { reporter } from './report.ts'
import { dockOptions, type TransferFlags, untilStopped, withTransferOptions } from './transfer-options.ts'
import { watchFolder } from './watch-folder.ts'

const seconds = (text: string): number => {
  const value = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (value >= 0.1) return value
  throw new InvalidArgumentError('Give seconds, 0.1 or more.')
}

/** One JSON document a line, for each outcome and each note. */
const asJson = (event: DockEvent): void => {
  if (event.type === 'outcome' || event.type === 'note') console.log(JSON.stringify(event))
}

export const watchCommand = (): Command =>
  withTransferOptions(new Command('watch'), 86_400)
    .description('Stay, and bring into custody whatever footage comes into a folder; Ctrl-C ends it')
    .option('--every <seconds>', 'how often to look', seconds, 5)
    .action(async (folder: string, flags: TransferFlags & { every: number }) => {
      const progress = flags.json ? silentProgress : showProgress()
      const onEvent = flags.json ? asJson : reporter(progress)
      const options = { ...dockOptions(folder, flags), every: flags.every, signal: untilStopped(), onEvent }
      await watchFolder(options).finally(() => progress.close())
    })
