import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Digest } from '../../base/ids.ts'
import type { Leaves } from './entries.ts'
import type { Find } from './finding.ts'
import type { Provenance } from './provenance.ts'

const Size = Type.Integer({ minimum: 0 })
const Taken = Type.Object({ sha256: Digest, size: Size, camera: Type.String() })
const Cut = Type.Object({ clip: Type.String(), sha256: Digest, size: Size })
const Asked = Type.Object({
  includeOriginals: Type.Boolean(),
  exhibits: Type.Array(
    Type.Object({
      exhibit: Type.String(),
      reference: Type.String(),
      item: Type.Integer(),
      recording: Type.Optional(Type.String()),
      clip: Type.Optional(Type.String()),
    }),
  ),
})

/** What the entries of such an act state, by what `about` makes of the entry's subject and its detail. */
const statedBy = <Shape extends Type.TSchema>(
  leaves: Leaves,
  action: string,
  shape: Shape,
  about: (subject: string, detail: Type.Static<Shape>) => string,
): Map<string, (Type.Static<Shape> & { path: string })[]> =>
  Map.groupBy(
    [...leaves.values()].flatMap(({ detail, path, ...entry }) =>
      entry.action === action && Value.Check(shape, detail)
        ? [{ ...detail, path, about: about(entry.subject, detail) }]
        : [],
    ),
    (stated) => stated.about,
  )

const cutting = (recording: string, clip: string): string => `${recording} ${clip}`

/** What the disclosed entries state of the footage and the exhibits; `carried` is whether the bundle carries proofs of them. */
export const statementsOf = (leaves: Leaves, carried: boolean) => ({
  carried,
  taken: statedBy(leaves, 'recording.verified', Taken, (recording) => recording),
  cut: statedBy(leaves, 'clip.cut', Cut, (recording, { clip }) => cutting(recording, clip)),
  asked: statedBy(leaves, 'bundle.asked', Asked, (bundle) => bundle),
})
type Statements = ReturnType<typeof statementsOf>

const fileOf = ({ files }: Provenance, made: Provenance['files'][number]['made'], path: string): string =>
  files.find((file) => file.made === made)?.path ?? path

/** The recording must be the one that an entry of its being taken into custody states. */
const checkTaken = (said: Provenance, path: string, { carried, taken }: Statements, find: Find): void => {
  const { recording, sha256, size, camera, receipt } = said.source
  const media = fileOf(said, 'original', path)
  const entries = taken.get(recording) ?? []
  if (entries.length === 0) {
    if (receipt === null)
      find('exhibit', media, 'There is no receipt, and no entry here states which bytes came into custody.')
    else if (carried) find('exhibit', media, 'No entry here states which bytes came into custody as this recording.')
    return
  }
  if (entries.some((each) => each.sha256 === sha256 && each.size === size && each.camera === camera)) return
  const [first] = entries
  const states = `By ${first?.path}, ${first?.size} bytes with the SHA-256 ${first?.sha256} came into custody from ${first?.camera}.`
  find('exhibit', media, `The recording is given as another one than came into custody. ${states}`)
}

/** The clip must be the one that the entry of its cutting states. */
const checkCut = (said: Provenance, path: string, { carried, cut }: Statements, find: Find): void => {
  if (said.clip === null) return
  const { id, sha256, size } = said.clip
  const media = fileOf(said, 'clip', path)
  const entries = cut.get(cutting(said.source.recording, id)) ?? []
  if (entries.length === 0) {
    if (carried) find('exhibit', media, 'No entry here states that this clip was cut from the recording.')
    return
  }
  if (entries.some((each) => each.sha256 === sha256 && each.size === size)) return
  const [first] = entries
  const states = `By ${first?.path}, it has ${first?.size} bytes and the SHA-256 ${first?.sha256}.`
  find('exhibit', media, `The clip is given as another one than was cut. ${states}`)
}

/** Holds an exhibit against what the entries of the ledger state of its recording and its clip. */
export const checkStated = (said: Provenance, path: string, statements: Statements, find: Find): void => {
  checkTaken(said, path, statements, find)
  checkCut(said, path, statements, find)
}

type Listed = Type.Static<typeof Asked>['exhibits'][number]

const isListed = ({ exhibit, source, clip }: Provenance, listed: Listed): boolean =>
  listed.reference === exhibit.reference &&
  listed.item === exhibit.item &&
  // Older requests do not say of which footage an exhibit is.
  (listed.recording === undefined || (listed.recording === source.recording && listed.clip === clip?.id))

/**
 * Holds the exhibits of a bundle, by the paths of their provenance, against those that it was asked for. `whole` is false
 * where some could not be read. Answers whether there was an entry of the request.
 */
export const checkAsked = (
  exhibits: ReadonlyMap<string, Provenance>,
  bundle: string | null,
  { carried, asked: requests }: Statements,
  whole: boolean,
  find: Find,
): boolean => {
  const [asked] = requests.get(bundle ?? '') ?? []
  if (asked === undefined) {
    if (carried)
      find('exhibit', null, 'The entry of its being asked for is not here: which exhibits it is of, nothing says.')
    return false
  }
  const owed = new Map(asked.exhibits.map((listed) => [listed.exhibit, listed]))
  const originals = new Set<string>()
  for (const [path, said] of exhibits) {
    if (said.files.some(({ made }) => made === 'original')) originals.add(said.source.recording)
    const listed = owed.get(said.exhibit.id)
    if (listed === undefined) {
      find('exhibit', path, `By ${asked.path}, the bundle was not asked for with this exhibit, or it is here twice.`)
    } else if (!isListed(said, listed)) {
      find('exhibit', path, `By ${asked.path}, ${listed.reference} has another reference, number, recording or clip.`)
    }
    owed.delete(said.exhibit.id)
  }
  if (!whole) return true
  for (const { reference } of owed.values())
    find('exhibit', asked.path, `The bundle was asked for with ${reference}, which is not in it.`)
  if (!asked.includeOriginals) return true
  for (const [path, { source }] of exhibits) {
    if (!originals.has(source.recording))
      find('exhibit', path, `By ${asked.path}, the original was asked for as well, and is not here.`)
  }
  return true
}
