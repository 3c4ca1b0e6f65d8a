import { Command } from 'commander'
import { auditCommand } from './ledger/audit.ts'
import { recoverCommand } from './ledger/recover.ts'

export const ledgerCommand = (): Command =>
  new Command('ledger')
    .description('The log over every entry: whether it is whole, and how it goes on after a restored backup')
    .addCommand(auditCommand())
    .addCommand(recoverCommand())
