import { Command } from 'commander'
import { enrolCommand } from './enrol.ts'
import { keysCommand } from './keys.ts'
import { uploadCommand } from './upload.ts'
import { watchCommand } from './watch.ts'

export const dockCommand = (): Command =>
  new Command('dock')
    .description('The docking station: enrol it, and bring footage into custody')
    .addCommand(enrolCommand())
    .addCommand(uploadCommand())
    .addCommand(watchCommand())
    .addCommand(keysCommand())
