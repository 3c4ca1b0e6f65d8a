import { Command } from 'commander'
import { showProgress, silentProgress } from '../progress.ts'
import { reporter, summaryLine } from './report.ts'
import { dockOptions, type TransferFlags, untilStopped, withTransferOptions } from './transfer-options.ts'
import { uploadFolder } from './upload-folder.ts'

export const uploadCommand = (): Command =>
  withTransferOptions(new Command('upload'), 1800)
    .description('Bring the footage in a folder into custody; what was begun before goes on where it stood')
    .action(async (folder: string, flags: TransferFlags) => {
      const progress = flags.json ? silentProgress : showProgress()
      const signal = untilStopped()
      const summary = await uploadFolder({
        ...dockOptions(folder, flags),
        signal,
        onEvent: reporter(progress),
      }).finally(() => progress.close())
      console.log(flags.json ? JSON.stringify(summary) : summaryLine(summary))
      if (!summary.ok) process.exitCode = signal.aborted ? 130 : 1
    })
