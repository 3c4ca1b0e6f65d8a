import { createHash } from 'node:crypto'
import { canonical } from '../base/canonical.ts'
import { hex, sha256 } from '../base/digest.ts'
import type { RecordingId } from '../base/ids.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import type { KeyDocument } from '../ledger/keys/key-document.ts'
import { bagInfo, bagit, manifestOf, readme } from './bag.ts'
import { bundleFolder } from './bundle.ts'
import type { Contents, ContentsOfExhibit } from './contents.ts'
import { pageHtml } from './page.ts'
import { schedulePdf } from './pdf.ts'
import type { PlannedExhibit, PlannedFile } from './plan.ts'
import type { ProvenEntry } from './proven.ts'
import { provenanceOf, receiptPath } from './provenance.ts'
import { scheduleCsv, scheduleItem, scheduleJson } from './schedule.ts'
import { pour } from './source.ts'
import {
  type BundleFile,
  type BundleStory,
  checkpointPath,
  type ExhibitStory,
  entryPath,
  keysPath,
  type MediaFile,
  pagePath,
  proofPath,
} from './story.ts'
import { exhibitStory } from './telling.ts'
import { type Sink, zipWriter } from './zip.ts'

/** All that goes into a bundle; `holder` is the name of this installation, and `zone` where its days begin. */
export type Ingredients = {
  contents: Contents
  planned: readonly PlannedExhibit[]
  entries: readonly ProvenEntry[]
  /** The heads that the entries are proven under, that of the newest log first. */
  checkpoints: readonly { log: number; note: string }[]
  /** Makes the continuity statement of an exhibit, a PDF. */
  statement(exhibit: ContentsOfExhibit): Promise<Buffer>
  keys: KeyDocument
  holder: string
  zone: string
}

type Reached = Pick<Engines, 'log' | 'store'>
type Run = { signal: AbortSignal; progress(fraction: number): void }

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** Writes files into the one folder of the ZIP, and keeps what the manifests say of them. */
const bagWriter = (reached: Reached, sink: Sink, { contents, planned }: Ingredients, run: Run) => {
  const { id, askedAt } = contents.bundle
  const zip = zipWriter(sink, askedAt)
  const payload: BundleFile[] = []
  const tags: BundleFile[] = []
  const all = planned.flatMap(({ files }) => files).reduce((sum, { size }) => sum + size, 0)
  let done = 0

  const note = <File extends BundleFile>(file: File): File => {
    const { path, size, sha256: digest } = file
    const list = path.startsWith('data/') ? payload : tags
    list.push({ path, size, sha256: digest })
    return file
  }
  return {
    payload,
    tags,
    zip,
    text: async (path: string, content: string | Buffer): Promise<void> => {
      const bytes = Buffer.from(content)
      await zip.add(`${bundleFolder(id)}/${path}`, bytes.length, async (write) => await write(bytes))
      note({ path, size: bytes.length, sha256: hex(sha256(bytes)) })
    },
    /** The same, of what no manifest may hold: its own. */
    unlisted: async (path: string, content: string): Promise<void> => {
      const bytes = Buffer.from(content)
      await zip.add(`${bundleFolder(id)}/${path}`, bytes.length, async (write) => await write(bytes))
    },
    media: async ({ objects, ...file }: PlannedFile): Promise<MediaFile> => {
      // Of a file that is one object, its own digest is the file's, and is checked as it is read.
      const [first, ...others] = objects
      const hash = others.length === 0 ? null : createHash('sha256')
      await zip.add(`${bundleFolder(id)}/${file.path}`, file.size, async (write) => {
        for (const object of objects) {
          await pour(
            reached,
            object,
            async (bytes) => {
              hash?.update(bytes)
              await write(bytes)
              done += bytes.length
              run.progress((done / Math.max(1, all)) * 0.98)
            },
            run.signal,
          )
        }
      })
      if (first === undefined) throw new Error('a file of nothing')
      return note({ ...file, sha256: hash === null ? first.sha256 : hex(hash.digest()) })
    },
  }
}

/** A file that is one object of the store, as the catalogue knows it: also before it is written. */
const known = ({ objects, ...file }: PlannedFile): MediaFile => {
  const [object] = objects
  if (object === undefined || objects.length > 1) throw new Error('an original is one object')
  return { ...file, sha256: object.sha256 }
}

const receiptsOf = (planned: readonly PlannedExhibit[]): BundleStory['receipts'] => {
  const found = new Map<RecordingId, BundleStory['receipts'][number]>()
  for (const { from } of planned) {
    const [path, jws] = [receiptPath(from.held), from.held.receipt]
    const recording = from.held.recording.id
    if (path !== null && jws !== null) found.set(recording, { path, recording, jws })
  }
  return [...found.values()]
}

/**
 * Writes the whole ZIP into the sink: the exhibits, checked as they stream, and then what is told of them. Answers its
 * size. Throws what `pour` throws.
 */
export const writeBundle = async (
  reached: Reached,
  ingredients: Ingredients,
  sink: Sink,
  run: Run,
): Promise<number> => {
  const { contents, planned, entries, checkpoints, keys, holder } = ingredients
  const { bundle, case: of } = contents
  const bag = bagWriter(reached, sink, ingredients, run)
  await bag.text('bagit.txt', bagit)
  const exhibits: ExhibitStory[] = []
  for (const each of planned) {
    const files: MediaFile[] = []
    for (const file of each.files) files.push(await bag.media(file))
    const provenance = provenanceOf(contents, each, files)
    const original = each.original === null ? null : known(each.original)
    const exhibit = exhibitStory(each, files, original, provenance, entries)
    await bag.text(exhibit.provenancePath, json(provenance))
    await bag.text(exhibit.statementPath, await ingredients.statement(each.from))
    exhibits.push(exhibit)
  }
  const story: BundleStory = {
    v: 1,
    bundle: {
      id: bundle.id,
      folder: bundleFolder(bundle.id),
      askedAt: iso(bundle.askedAt),
      recipient: bundle.recipient,
      purpose: bundle.purpose,
      includeOriginals: bundle.includeOriginals,
      schedule: bundle.schedule,
      entry: bundle.entry,
    },
    case: { id: bundle.case, ...of },
    exhibits,
    schedule: exhibits.flatMap(({ media }, at) => {
      const from = planned[at]?.from
      return from === undefined ? [] : [scheduleItem(from, media, ingredients)]
    }),
    // The page is not in it when it is made of this, and everything but the page is.
    manifest: bag.payload,
    receipts: receiptsOf(planned),
    entries: entries.map(({ entry, salt, parts, proof }, at) => ({
      ...{ path: entryPath(at + 1), entry, salt, parts },
      proof: { path: proofPath(at + 1), text: proof },
    })),
    checkpoints: checkpoints.map(({ log, note }, at) => ({ path: checkpointPath(at === 0 ? undefined : log), note })),
    keys,
  }
  await bag.text('data/schedules/MG6C.csv', scheduleCsv(story))
  await bag.text('data/schedules/MG6C.json', scheduleJson(story))
  await bag.text('data/schedules/MG6C.pdf', await schedulePdf(story))
  await bag.text(pagePath, pageHtml(story))
  await bag.text('README.txt', readme(story, holder))
  await bag.text(keysPath, json(keys))
  for (const { path, note } of story.checkpoints) await bag.text(path, note)
  for (const { path, jws } of story.receipts) await bag.text(path, jws)
  for (const { path, entry, salt, parts, proof } of story.entries) {
    await bag.text(path, `${canonical({ entry, salt, parts })}\n`)
    await bag.text(proof.path, proof.text)
  }
  await bag.text('bag-info.txt', bagInfo(story, holder, bag.payload))
  await bag.text('manifest-sha256.txt', manifestOf(bag.payload))
  await bag.unlisted('tagmanifest-sha256.txt', manifestOf(bag.tags))
  return await bag.zip.end()
}
