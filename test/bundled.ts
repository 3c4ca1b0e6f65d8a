import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { BundleId, CaseId, ClipId, ExhibitId, RecordingId } from '../src/base/ids.ts'
import { requestBundle } from '../src/bundles/actions.ts'
import { bundleFolder, bundleKey } from '../src/bundles/bundle.ts'
import { makeBundle } from '../src/bundles/make.ts'
import { bundleById } from '../src/bundles/queries.ts'
import type { BundleRequest } from '../src/bundles/schemas.ts'
import { addExhibit } from '../src/cases/exhibits.ts'
import type { BundleRow } from '../src/engines/bundle-tables.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { Run } from '../src/jobs/catalogue.ts'
import { beginLog } from '../src/ledger/log/log.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import type { Person } from '../src/people/person.ts'
import { runOf } from './footsteps.ts'
import { textOf } from './pdf-text.ts'

export const run = promisify(execFile)

export const words = { recipient: 'CPS London North', purpose: 'Initial details', includeOriginals: false }

type Wanted = { recordingId: RecordingId } | { clipId: ClipId }

/** Puts something into a case; not sensitive unless told otherwise. */
export const put = async (
  engines: Engines,
  person: Person,
  into: CaseId,
  reference: string,
  wanted: Wanted & { sensitivity?: 'sensitive'; description?: string },
): Promise<ExhibitId> => {
  const said = { reference, sensitivity: 'none', description: `What ${reference} shows`, ...wanted } as const
  return (await addExhibit(engines, person, into, said)).id
}

/** Brings every entry under a signed head of the log, as a worker does every second. */
export const published = async (engines: Engines): Promise<void> => {
  await beginLog(engines)
  await sequence(engines)
}

/** Asks for a bundle, whose entries are under a signed head when it is answered. */
export const askBundle = async (
  engines: Engines,
  person: Person,
  of: CaseId,
  exhibitIds: ExhibitId[],
  over: Partial<BundleRequest> = {},
): Promise<BundleId> => {
  const { id } = await requestBundle(engines, person, of, { ...words, exhibitIds, ...over })
  await published(engines)
  return id
}

export const bundleRow = async ({ db }: Engines, id: BundleId): Promise<BundleRow> => {
  const row = await bundleById(db, id)
  if (row === undefined) throw new Error('there is no such bundle')
  return row
}

/** Makes a bundle that is owed, as the worker does. */
export const makeNow = async (engines: Engines, id: BundleId, over: Partial<Run> = {}): Promise<BundleRow> => {
  await makeBundle(engines, id, runOf(over))
  return await bundleRow(engines, id)
}

/** The ZIP as the store has it; null where it has none. */
export const zipIn = async ({ store }: Engines, id: BundleId): Promise<Buffer | null> => {
  const stream = await store.read('derived', bundleKey(id))
  return stream === null ? null : await buffer(stream)
}

/** Unpacks a bundle into a folder; answers the one folder in it. */
export const unpacked = async (engines: Engines, id: BundleId, into: string): Promise<string> => {
  const zip = await zipIn(engines, id)
  if (zip === null) throw new Error('the bundle is not in the store')
  const file = path.join(into, `${id}.zip`)
  await writeFile(file, zip)
  await run('unzip', ['-q', file, '-d', into])
  return path.join(into, bundleFolder(id))
}

export const jsonIn = async (folder: string, name: string) =>
  JSON.parse(await readFile(path.join(folder, name), 'utf8'))

/** What a reader sees of a file of an unpacked bundle. */
export const readable = async (folder: string, name: string): Promise<string> => {
  const bytes = await readFile(path.join(folder, name))
  return name.endsWith('.pdf') ? textOf(bytes) : bytes.toString()
}

/** Judges a folder by the words of RFC 8493 alone, with nothing of ours. Answers what is wrong with it. */
const bagCheck = `
import hashlib, json, os, re, sys
top, wrong = sys.argv[1], []
read = lambda name: open(os.path.join(top, name), encoding='utf-8', newline='').read()
if not re.fullmatch(r'BagIt-Version: 1\\.0\\nTag-File-Character-Encoding: UTF-8\\n', read('bagit.txt')): wrong.append('bagit.txt')
there = {os.path.relpath(os.path.join(d, f), top) for d, _, files in os.walk(top) for f in files}
def listed(name):
    found = {}
    for line in read(name).split('\\n'):
        if line == '': continue
        digest, file = re.fullmatch(r'([0-9a-f]{64})\\s+(.+)', line).groups()
        file = file.replace('%0A', '\\n').replace('%0D', '\\r').replace('%25', '%')
        if file in found: wrong.append('twice: ' + file)
        found[file] = digest
    return found
payload, tags = listed('manifest-sha256.txt'), listed('tagmanifest-sha256.txt')
for file, digest in {**payload, **tags}.items():
    if file not in there: wrong.append('missing: ' + file)
    elif hashlib.sha256(open(os.path.join(top, file), 'rb').read()).hexdigest() != digest: wrong.append('altered: ' + file)
for file in there - {'tagmanifest-sha256.txt'}:
    if (file.startswith('data/') and file not in payload) or (not file.startswith('data/') and file not in tags): wrong.append('unlisted: ' + file)
info = dict(line.split(': ', 1) for line in read('bag-info.txt').strip().split('\\n'))
data = [f for f in there if f.startswith('data/')]
oxum = '%d.%d' % (sum(os.path.getsize(os.path.join(top, f)) for f in data), len(data))
if info['Payload-Oxum'] != oxum: wrong.append('oxum: ' + oxum)
print(json.dumps({'wrong': wrong, 'info': info, 'files': sorted(there)}))`

type BagReport = { wrong: string[]; info: Record<string, string>; files: string[] }

export const checkedBag = async (folder: string): Promise<BagReport> =>
  JSON.parse((await run('python3', ['-c', bagCheck, folder])).stdout)
