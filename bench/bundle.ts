import { execFile } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ExhibitId } from '../src/base/ids.ts'
import { requestBundle } from '../src/bundles/actions.ts'
import { makeBundle } from '../src/bundles/make.ts'
import { bundleById } from '../src/bundles/queries.ts'
import { openCase } from '../src/cases/actions.ts'
import { addExhibit } from '../src/cases/exhibits.ts'
import { putMember } from '../src/cases/members.ts'
import { beginLog } from '../src/ledger/log/log.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { runOf, someone, takeIn } from './arrival.ts'
import { makeFootage } from './footage.ts'
import { install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'

const run = promisify(execFile)
const rounds = 3
const mib = 1024 * 1024

/** A bundle of originals out of S3 into S3, against `zip -0` of the same files on a disk. */
export const bundle = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false, settings: { BUNDLES_OWED: '1000' } })
  const { engines } = installation
  await beginLog(engines)
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const maker = await someone(engines, 'investigator')
  const officer = await someone(engines, 'disclosure')
  const { id: caseId } = await openCase(engines, maker, { reference: 'BENCH/1', title: 'Bench' })
  await putMember(engines, maker, caseId, officer.id, 'disclosure')
  const files = [await makeFootage(stack.folder, 10), await makeFootage(stack.folder, 8)]
  const exhibitIds: ExhibitId[] = []
  for (const [index, file] of files.entries()) {
    const recordingId = await takeIn(installation, dock, file)
    const words = { reference: `AB/${index + 1}`, sensitivity: 'none', description: 'Bench' } as const
    exhibitIds.push((await addExhibit(engines, maker, caseId, { recordingId, ...words })).id)
  }
  const size = files.reduce((sum, file) => sum + statSync(file).size, 0) / mib

  const ours = contender(async () => {
    const words = { recipient: 'Bench', purpose: 'Bench', includeOriginals: true }
    const { id } = await requestBundle(engines, officer, caseId, { exhibitIds, ...words })
    // What a worker does every second; a bundle waits for it.
    await sequence(engines)
    const began = performance.now()
    await makeBundle(engines, id, runOf())
    const rate = (size * 1000) / (performance.now() - began)
    const made = await bundleById(engines.db, id)
    if (made?.state !== 'ready') throw new Error(`no bundle was made: ${made?.failure}`)
    return rate
  })
  const zip = contender(async () => {
    const out = join(stack.folder, 'peer.zip')
    const began = performance.now()
    await run('zip', ['-0', '-q', '-j', out, ...files])
    const rate = (size * 1000) / (performance.now() - began)
    rmSync(out)
    return rate
  })
  await inTurn(rounds, [ours, zip])
  return {
    results: [
      {
        what: `export of a bundle, ${Math.round(size)} MiB of originals`,
        against: '`zip -0` of the same files',
        ratio: ratioOf(ours.samples, zip.samples),
        target: { atLeast: 0.8 },
        ours: inWords(spreadOf(ours.samples), 'MiB/s'),
        theirs: inWords(spreadOf(zip.samples), 'MiB/s'),
      },
    ],
    how: [
      'Ours reads each original from S3, holds it against its digest, and stores the ZIP in S3, on the same two cores as the store. zip reads files from the page cache and writes a file.',
    ],
  }
}
