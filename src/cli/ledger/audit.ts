import { Command } from 'commander'
import { type AuditReport, auditLedger } from '../../ledger/audit/audit.ts'
import type { Finding, Where } from '../../ledger/audit/finding.ts'
import type { AuditedLog } from '../../ledger/audit/log.ts'
import { counted, printable } from '../words.ts'
import { addFile, leavesBar, reachLedger, readGiven } from './reach.ts'

type Options = { data?: string; checkpoint?: string[]; json?: true }

const many = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`

const whereOf = ({ index, entry, part, object, size, says }: Where): string =>
  [
    ...(index === undefined ? [] : [`leaf ${index}`]),
    ...(size === undefined ? [] : [many(size, 'leaf', 'leaves')]),
    ...(entry === undefined ? [] : [`entry ${entry}`]),
    ...(part === undefined ? [] : [`its ${part}`]),
    ...(object === undefined ? [] : [printable(object)]),
    ...(says === undefined ? [] : [printable(says)]),
  ].join(', ')

const inLines = ({ kind, log, count, first, happened, unaffected, next }: Finding): string[] => [
  `✗ ${kind}${log === null ? '' : ` in log ${log}`}: ${count === 1 ? '' : `${count} times, first `}${whereOf(first)}`,
  `    what happened     ${happened}`,
  `    not affected      ${unaffected}`,
  `    what to do next   ${next}`,
  '',
]

const fits = (right: boolean): string => (right ? 'make up every checkpoint' : 'do NOT make up every checkpoint')

const linesOf = (log: AuditedLog): string[] => [
  `${log.database && log.store ? '✓' : '✗'} log ${log.log}, ${log.origin}: published with ${many(log.size, 'leaf', 'leaves')}${log.root === null ? '' : `, root ${log.root}`}`,
  `    ${many(log.leaves, 'leaf', 'leaves')} in the database ${fits(log.database)} (${log.checkpoints} held against them)`,
  `    the leaves and tiles in the store ${fits(log.store)}`,
  `    ${counted(log.cosignatures, 'cosignature')} verified; ${many(log.lost, 'leaf', 'leaves')} without its entry; erased: ${many(log.erasedBodies, 'entry', 'entries')}, ${counted(log.erasedParts, 'sealed part')}`,
  ...(log.abandoned === undefined ? [] : [`    it was left unfinished: ${printable(log.abandoned)}`]),
]

const verdict = ({ ok, owed, findings }: AuditReport): string => {
  const waiting = owed === 0 ? '' : ` ${many(owed, 'entry waits', 'entries wait')} for the next checkpoint.`
  return ok
    ? `✓ Everything that was looked at is as it was written.${waiting}`
    : `✗ ${many(findings.length, 'kind', 'kinds')} of finding. docs/operate.md tells of each.${waiting}`
}

const silence = (name: string): string =>
  `? what the witness ${printable(name)} has seen is not known: it did not say. Ask its keeper, and audit with --checkpoint.`

const inWords = (report: AuditReport): string =>
  [
    ...report.logs.flatMap(linesOf),
    ...report.unasked.map(silence),
    '',
    ...report.findings.flatMap(inLines),
    verdict(report),
  ].join('\n')

export const auditCommand = (): Command =>
  new Command('audit')
    .description('Recompute the whole log from the database and from the store, and compare both with what was signed')
    .option('--data <folder>', 'the installation of this data folder, in place of the environment')
    .option('--checkpoint <file>', 'a checkpoint that somebody else kept; may be given again', addFile)
    .option('--json', 'answer as JSON')
    .addHelpText(
      'after',
      '\nChanges nothing, needs the rights of the application alone (DATABASE_URL), and may run beside everything. Asks the' +
        '\nwitnesses in LEDGER_WITNESSES what they have seen; one that does not answer is named, and is no finding. Ends with 0' +
        '\nwhen nothing was found and with 1 otherwise; with --json each finding has a `kind` that does not change.',
    )
    .action(async ({ data, checkpoint, json }: Options) => {
      const given = await readGiven(checkpoint)
      const bar = leavesBar(json === true)
      const report = await reachLedger(data, 'DATABASE_URL', async (engines) => {
        return await auditLedger(engines, { given, moved: bar.moved })
      }).finally(bar.close)
      console.log(json ? JSON.stringify(report) : inWords(report))
      if (!report.ok) process.exitCode = 1
    })
