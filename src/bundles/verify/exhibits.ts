import { Value } from 'typebox/value'
import type { ReceiptClaims } from '../../custody/receipt.ts'
import type { Bag } from './bag.ts'
import type { Leaves } from './entries.ts'
import type { Find } from './finding.ts'
import type { Proofs } from './proofs.ts'
import { Provenance } from './provenance.ts'
import { jsonOf } from './reading.ts'
import type { Source } from './source.ts'
import { checkAsked, checkStated, statementsOf } from './statements.ts'

const provenanceFile = 'provenance.json'
/** Of bundles that carry proofs. No provenance speaks of it: it is no media. */
const statementFile = 'continuity.pdf'

/** `data/exhibits/AB_1` of a path in it; null of any other. */
const folderOf = (path: string): string | null => /^data\/exhibits\/[^/]+(?=\/)/.exec(path)?.[0] ?? null

const checkFiles = (said: Provenance, path: string, { payload }: Bag, find: Find): void => {
  const { source, clip, files, exhibit } = said
  for (const file of files) {
    const listed = payload?.get(file.path)
    if (folderOf(file.path) !== folderOf(path)) {
      find('exhibit', path, `It speaks of ${file.path}, which is not beside it.`)
    } else if (payload !== null && listed === undefined) {
      find('exhibit', path, `It speaks of ${file.path}, which the manifest does not name.`)
    } else if (payload !== null && listed !== file.sha256) {
      find('exhibit', path, `It states another SHA-256 of ${file.path} than the manifest.`)
    }
    const whole = file.made === 'original' ? source : file.made === 'clip' ? clip : file
    if (whole === null || whole.sha256 !== file.sha256 || whole.size !== file.size) {
      find('exhibit', path, `It calls ${file.path} the ${file.made}, and states another digest or size of that one.`)
    }
  }
  const wanted = exhibit.kind === 'clip' ? 'clip' : 'original'
  if (files.filter(({ made }) => made === wanted).length !== 1) {
    find('exhibit', path, `The exhibit is a ${exhibit.kind}, and the file of it is not named.`)
  }
  if (clip !== null && (clip.source.sha256 !== source.sha256 || clip.source.recording !== source.recording)) {
    find('exhibit', path, 'By its own words the clip was cut from another recording than the one it names.')
  }
}

const checkReceipt = (
  { source }: Provenance,
  path: string,
  receipts: ReadonlyMap<string, ReceiptClaims>,
  members: Source['members'],
  find: Find,
): void => {
  if (source.receipt === null) return
  const claims = receipts.get(source.receipt)
  if (claims === undefined) {
    // One that is there and does not hold was found already.
    if (!members.has(source.receipt)) find('exhibit', path, `Its receipt ${source.receipt} is not there.`)
    return
  }
  const same =
    claims.sha256 === source.sha256 &&
    claims.size === source.size &&
    claims.recordingId === source.recording &&
    claims.camera === source.camera &&
    claims.filename === source.filename
  if (!same)
    find('exhibit', path, 'It states another recording than its receipt: not the same digest, size, camera or name.')
}

/**
 * How many exhibits there are, the provenance of each by its path, and what it states of each file by its path. `asked` is
 * whether the entry of the bundle's being asked for is here, which lists the exhibits.
 */
export type Exhibits = {
  count: number
  all: ReadonlyMap<string, Provenance>
  stated: Map<string, { size: number; sha256: string }>
  asked: boolean
}

type Found = { receipts: ReadonlyMap<string, ReceiptClaims>; leaves: Leaves; proofs: Pick<Proofs, 'carried'> }

/**
 * Holds every exhibit's provenance against the manifest, its receipt and what the entries state, and finds files of an exhibit
 * it is silent on, and exhibits that are not those that were asked for.
 */
export const checkExhibits = async (
  source: Source,
  bag: Bag,
  { receipts, leaves, proofs: { carried } }: Found,
  find: Find,
): Promise<Exhibits> => {
  const all = new Map<string, Provenance>()
  const statements = statementsOf(leaves, carried)
  const stated: Exhibits['stated'] = new Map()
  const used = new Set<string>()
  const folders = new Set<string>()
  const unread = new Set<string>()
  for (const path of [...(bag.payload?.keys() ?? []), ...source.members.keys()]) {
    const folder = folderOf(path)
    if (folder !== null) folders.add(folder)
  }
  for (const folder of folders) {
    const path = `${folder}/${provenanceFile}`
    const statement = `${folder}/${statementFile}`
    unread.add(folder)
    if (carried && !source.members.has(statement) && bag.payload?.has(statement) === false)
      find('missing', statement, 'It is the continuity statement of the exhibit, and is not there.')
    if (!(bag.payload ?? source.members).has(path)) {
      find('exhibit', folder, 'This exhibit has no provenance.json, or none that belongs to the bundle.')
      continue
    }
    const said = await jsonOf(source, path, 16 * 1024 * 1024, find)
    if (said === undefined) continue
    if (!Value.Check(Provenance, said)) {
      find('exhibit', path, 'It does not state what the provenance of an exhibit states.')
      continue
    }
    unread.delete(folder)
    if (bag.bundle !== null && said.bundle !== bag.bundle) find('exhibit', path, 'It is of another bundle.')
    checkFiles(said, path, bag, find)
    checkReceipt(said, path, receipts, source.members, find)
    checkStated(said, path, statements, find)
    all.set(path, said)
    if (said.source.receipt !== null) used.add(said.source.receipt)
    for (const file of said.files) stated.set(file.path, file)
  }
  for (const path of bag.payload?.keys() ?? []) {
    const folder = folderOf(path)
    if (folder === null || unread.has(folder) || stated.has(path)) continue
    if ([provenanceFile, statementFile].some((name) => path === `${folder}/${name}`)) continue
    find('exhibit', path, 'The provenance beside this file does not speak of it.')
  }
  // Whose receipt it is, an exhibit may say that cannot be read.
  const owed = unread.size > 0 ? [] : [...receipts.keys()].filter((path) => !used.has(path))
  for (const path of owed) find('receipt', path, 'No exhibit of the bundle is of the recording of this receipt.')
  const asked = checkAsked(all, bag.bundle, statements, unread.size === 0, find)
  return { count: folders.size, all, stated, asked }
}
