// @ts-check
// What the page can check by itself: everything that is embedded in it.
import { canonical, unhex, utf8 } from './canonical.js'
import { readProof, readVkey, rootFrom, verifyCheckpoint } from './log.js'
import { sha256 } from './sha256.js'
import { verifyReceipt } from './signatures.js'

/**
 * @typedef {{ kind: string; path: string; says: string }} Finding
 * @typedef {{ path: string; size: number; sha256: string }} Listed
 * @typedef {{
 *   bundle: { id: string; folder: string }
 *   exhibits: {
 *     reference: string
 *     kind: string
 *     media: Listed
 *     viewingCopy: Listed | null
 *     original: Listed | null
 *     receipt: string | null
 *     provenance: {
 *       exhibit: { id: string; reference: string; item: number }
 *       source: { recording: string; sha256: string; size: number; camera: string; filename: string }
 *       clip: { id: string; sha256: string; size: number; source: { sha256: string } } | null
 *     }
 *   }[]
 *   manifest: Listed[]
 *   receipts: { path: string; recording: string; jws: string }[]
 *   entries: {
 *     path: string
 *     entry: any
 *     salt: string
 *     parts: Record<string, { value: unknown; salt: string }>
 *     proof: { path: string; text: string }
 *   }[]
 *   checkpoints: { path: string; note: string }[]
 *   keys: { keys: import('./signatures.js').Key[]; logs: { vkey: string }[] }
 * }} Story
 * @typedef {{ leaf: string; subject: string; path: string; action: string; detail: any }} Leaf
 * @typedef {{ index: number; size: number; proven: boolean | null }} Place `proven` is null where the browser cannot tell.
 */

/** @param {string} salt @param {unknown} value */
const salted = (salt, value) => sha256(unhex(salt), utf8(canonical(value)))

/**
 * Every disclosed part against its seal. Answers the leaf of each entry, by its id, and what an act that was allowed seals as
 * its detail.
 * @param {Story} story @param {Finding[]} findings
 */
const checkEntries = ({ entries }, findings) => {
  /** @type {Map<string, Leaf>} */
  const leaves = new Map()
  for (const { path, entry, salt, parts } of entries) {
    const { id, action, subject, outcome } = entry
    let detail
    for (const [name, part] of Object.entries(parts)) {
      if (entry.sealed[name] !== salted(part.salt, part.value)) {
        findings.push({ kind: 'entry', path, says: `What it discloses as “${name}” is not what was sealed in it.` })
      } else if (name === 'detail' && outcome === 'allowed') detail = part.value
    }
    leaves.set(id, { leaf: salted(salt, entry), subject: subject.id, path, action, detail })
  }
  return leaves
}

/** What the entries of such an act about this subject state. @param {Map<string, Leaf>} leaves @param {string} action @param {string} subject */
const statedBy = (leaves, action, subject) =>
  [...leaves.values()].flatMap((leaf) =>
    leaf.action === action && leaf.subject === subject && leaf.detail !== undefined ? [leaf.detail] : [],
  )

/** @param {{ sha256: string; size: number }} one @param {{ sha256: string; size: number }} other */
const isSame = (one, other) => one.sha256 === other.sha256 && one.size === other.size

/**
 * The recording of an exhibit, and its clip, must be those that entries state.
 * @param {Story['exhibits'][number]} exhibit @param {Map<string, Leaf>} leaves @param {(says: string) => void} wrong
 */
const checkStated = ({ media, original, provenance: { source, clip } }, leaves, wrong) => {
  const taken = statedBy(leaves, 'recording.verified', source.recording)
  const whole = clip === null ? media : original
  if (!taken.some((detail) => isSame(detail, source) && detail.camera === source.camera))
    wrong(`${whole?.path ?? 'Its recording'} is not what came into custody by any entry of the ledger that is here.`)
  if (clip === null) return
  const cut = statedBy(leaves, 'clip.cut', source.recording).filter((detail) => detail.clip === clip.id)
  if (!cut.some((detail) => isSame(detail, clip)))
    wrong(`${media.path} is not the clip that was cut by any entry of the ledger that is here.`)
}

/**
 * The exhibits must be those that the bundle was asked for, each of the same footage.
 * @param {Story} story @param {Map<string, Leaf>} leaves @param {Finding[]} findings
 */
const checkAsked = ({ bundle, exhibits }, leaves, findings) => {
  const wrong = (/** @type {string} */ path, /** @type {string} */ says) =>
    findings.push({ kind: 'exhibit', path, says })
  const [asked] = statedBy(leaves, 'bundle.asked', bundle.id)
  if (asked === undefined) {
    wrong(bundle.id, 'The entry of its being asked for is not here: which exhibits it is of, nothing says.')
    return
  }
  /** @type {Map<string, { reference: string; item: number; recording?: string; clip?: string }>} */
  const owed = new Map(asked.exhibits.map((/** @type {any} */ listed) => [listed.exhibit, listed]))
  for (const { reference, item, provenance } of exhibits) {
    const { exhibit, source, clip } = provenance
    const listed = owed.get(exhibit.id)
    if (listed === undefined) wrong(reference, 'The bundle was not asked for with this exhibit, or it is here twice.')
    else {
      const named = [reference, exhibit.reference].every((name) => name === listed.reference)
      const numbered = [item, exhibit.item].every((number) => number === listed.item)
      const footage =
        listed.recording === undefined || (listed.recording === source.recording && listed.clip === clip?.id)
      if (!named || !numbered || !footage)
        wrong(reference, `The bundle was asked for with ${listed.reference} of another number, recording or clip.`)
    }
    owed.delete(exhibit.id)
  }
  for (const { reference } of owed.values()) wrong(reference, 'The bundle was asked for with it, and it is not here.')
  const originals = exhibits.flatMap(({ kind, media, original }) => (kind === 'recording' ? media : (original ?? [])))
  for (const { reference, provenance } of asked.includeOriginals === true ? exhibits : []) {
    if (!originals.some(({ sha256 }) => sha256 === provenance.source.sha256))
      wrong(reference, 'Its original was asked for as well, and is not here.')
  }
}

/** @param {Story} story @param {Map<string, any>} receipts @param {Map<string, Leaf>} leaves @param {Finding[]} findings */
const checkExhibits = (story, receipts, leaves, findings) => {
  const { exhibits, manifest } = story
  const listed = new Map(manifest.map((file) => [file.path, file]))
  for (const exhibit of exhibits) {
    const { reference, kind, media, viewingCopy, original, receipt, provenance } = exhibit
    const wrong = (/** @type {string} */ says) => findings.push({ kind: 'exhibit', path: reference, says })
    for (const file of [media, viewingCopy, original]) {
      const known = file === null ? undefined : listed.get(file.path)
      if (file !== null && (known === undefined || !isSame(known, file)))
        wrong(`The manifest has another ${file.path}.`)
    }
    const { source, clip } = provenance
    const whole = kind === 'recording' ? media : original
    if (whole !== null && !isSame(whole, source)) wrong('Its original has another digest than the catalogue.')
    if ((kind === 'clip') !== (clip !== null)) wrong('Its provenance is not that of what it is.')
    if (clip !== null && (!isSame(clip, media) || clip.source.sha256 !== source.sha256)) {
      wrong('The clip, or the recording it was cut from, has another digest than its provenance states.')
    }
    checkStated(exhibit, leaves, wrong)
    const claims = receipt === null ? undefined : receipts.get(receipt)
    if (receipt !== null && !story.receipts.some(({ path }) => path === receipt)) wrong('Its receipt is not here.')
    if (claims !== undefined && !(isSame(claims, source) && claims.recordingId === source.recording)) {
      wrong('Its receipt is of another recording: not the same digest.')
    }
  }
  checkAsked(story, leaves, findings)
}

/**
 * Whether each entry is in the log, by its path: the way from its leaf to the root of a head that the log signed.
 * @param {Story} story @param {Map<string, { leaf: string; path: string }>} leaves @param {Finding[]} findings
 */
const checkLog = async ({ entries, checkpoints, keys }, leaves, findings) => {
  const logKeys = keys.logs.map(({ vkey }) => readVkey(vkey)).filter((key) => key !== null)
  const heads = new Map()
  for (const { path, note } of checkpoints) {
    const verdict = await verifyCheckpoint(note, logKeys)
    heads.set(note, verdict)
    if ('because' in verdict) findings.push({ kind: 'checkpoint', path, says: verdict.because })
  }
  /** @type {Map<string, Place>} */
  const places = new Map()
  for (const { path, entry, proof } of entries) {
    const wrong = (/** @type {string} */ says) => findings.push({ kind: 'proof', path: proof.path, says })
    const read = readProof(proof.text)
    const head = read === null ? undefined : heads.get(read.checkpoint)
    const leaf = leaves.get(entry.id)?.leaf ?? ''
    if (read === null) wrong('It is no proof of the log.')
    else if (head === undefined) wrong('It stands on another head of the log than those in this bundle.')
    else if ('because' in head) places.set(path, { index: read.index, size: 0, proven: false })
    else {
      const { size, root } = head.head
      const leads = read.leaf === null || read.leaf === leaf
      const proven = leads && rootFrom({ leaf, index: read.index, size, path: read.path }) === root
      if (!proven) wrong('It does not lead from the entry beside it to the root that the head of the log states.')
      places.set(path, { index: read.index, size, proven: proven && head.unable ? null : proven })
    }
  }
  return { places, heads: [...heads.values()].flatMap((head) => ('because' in head ? [] : [head.head])) }
}

/** @param {Story} story */
export const checkProofs = async (story) => {
  /** @type {Finding[]} */
  const findings = []
  const leaves = checkEntries(story, findings)
  const log = await checkLog(story, leaves, findings)
  const receipts = new Map()
  let unable = false
  for (const { path, recording, jws } of story.receipts) {
    const verdict = await verifyReceipt(jws, story.keys.keys)
    if ('unable' in verdict) unable = true
    else if ('because' in verdict) findings.push({ kind: 'receipt', path, says: verdict.because })
    else {
      const { claims } = verdict
      receipts.set(path, claims)
      if (claims.recordingId !== recording)
        findings.push({ kind: 'receipt', path, says: 'It is of another recording.' })
      const entry = leaves.get(claims.entryId)
      if (entry === undefined)
        findings.push({ kind: 'proof', path, says: 'The entry that it names is not here, so it is not proven.' })
      else if (entry.leaf !== claims.leaf || entry.subject !== recording) {
        findings.push({ kind: 'entry', path: entry.path, says: 'Its leaf is not the one that the receipt states.' })
      }
    }
  }
  checkExhibits(story, receipts, leaves, findings)
  const held = [...receipts.values()].filter(({ entryId }) => leaves.has(entryId)).length
  return { findings, unable, receipts: receipts.size, held, entries: leaves.size, log }
}
