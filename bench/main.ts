import { loadavg } from 'node:os'
import { append } from './append.ts'
import { audit } from './audit.ts'
import { bundle } from './bundle.ts'
import { clip } from './clip.ts'
import { sequencing } from './ledger.ts'
import { describeMachine } from './machine.ts'
import { memory } from './memory.ts'
import { playback } from './playback.ts'
import { readBack } from './read-back.ts'
import { receipt } from './receipt.ts'
import { type Row, sayRow, writeRow } from './result.ts'
import { retention } from './retention.ts'
import { type Stack, startStack } from './stack.ts'
import { story } from './story.ts'
import { transcode } from './transcode.ts'
import { upload } from './upload.ts'
import { watching } from './watching.ts'

/** `npm run bench` measures every row, `npm run bench -- <row>…` only those named. */
const rows: Record<string, (stack: Stack) => Promise<Row>> = {
  upload,
  memory,
  'read-back': readBack,
  receipt,
  playback,
  transcode,
  watching,
  clip,
  append,
  sequencing,
  audit,
  story,
  bundle,
  retention,
}

const names = Object.keys(rows)
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !names.includes(name))

const run = async (): Promise<void> => {
  await using stack = await startStack()
  for (const [name, measure] of Object.entries(rows)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    const machine = describeMachine()
    const began = performance.now()
    process.stdout.write(`${name} (load ${loadavg()[0]?.toFixed(1)})\n`)
    const row = await measure(stack)
    writeRow(name, names, row, machine)
    process.stdout.write(`${sayRow(row)}\n  in ${((performance.now() - began) / 1000).toFixed(0)} s\n`)
  }
}

if (process.platform !== 'linux') {
  process.stderr.write('The bench reads /proc and needs Linux.\n')
  process.exitCode = 1
} else if (unknown.length > 0) {
  process.stderr.write(`There is no row ${unknown.join(', ')}. The rows are: ${names.join(', ')}.\n`)
  process.exitCode = 2
} else await run()
