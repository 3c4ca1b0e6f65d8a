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
 *       source: { recording: string; sha256: string; size: number; camera: string; filename: string }
 *       clip: { sha256: string; source: { sha256: string } } | null
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
 * @typedef {{ index: number; size: number; proven: boolean | null }} Place `proven` is null where the browser cannot tell.
 */

/** @param {string} salt @param {unknown} value */
const salted = (salt, value) => sha256(unhex(salt), utf8(canonical(value)))

/**
 * Every disclosed part against its seal. Answers the leaf of each entry, by its id.
 * @param {Story} story @param {Finding[]} findings
 */
const checkEntries = ({ entries }, findings) => {
  /** @type {Map<string, { leaf: string; subject: string; path: string }>} */
  const leaves = new Map()
  for (const { path, entry, salt, parts } of entries) {
    for (const [name, part] of Object.entries(parts)) {
      if (entry.sealed[name] !== salted(part.salt, part.value)) {
        findings.push({ kind: 'entry', path, says: `What it discloses as “${name}” is not what was sealed in it.` })
      }
    }
    leaves.set(entry.id, { leaf: salted(salt, entry), subject: entry.subject.id, path })
  }
  return leaves
}

/** @param {Story} story @param {Map<string, any>} receipts @param {Finding[]} findings */
const checkExhibits = ({ exhibits, manifest }, receipts, findings) => {
  const listed = new Map(manifest.map((file) => [file.path, file]))
  for (const { reference, kind, media, viewingCopy, original, receipt, provenance } of exhibits) {
    const wrong = (/** @type {string} */ says) => findings.push({ kind: 'exhibit', path: reference, says })
    for (const file of [media, viewingCopy, original]) {
      if (file !== null && listed.get(file.path)?.sha256 !== file.sha256)
        wrong(`The manifest has another ${file.path}.`)
    }
    const { source, clip } = provenance
    const whole = kind === 'recording' ? media : original
    if (whole !== null && whole.sha256 !== source.sha256) wrong('Its original has another digest than the catalogue.')
    if (clip !== null && (clip.sha256 !== media.sha256 || clip.source.sha256 !== source.sha256)) {
      wrong('The clip, or the recording it was cut from, has another digest than its provenance states.')
    }
    const claims = receipt === null ? undefined : receipts.get(receipt)
    if (claims !== undefined && (claims.sha256 !== source.sha256 || claims.size !== source.size)) {
      wrong('Its receipt is of another recording: not the same digest.')
    }
  }
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
  checkExhibits(story, receipts, findings)
  const held = [...receipts.values()].filter(({ entryId }) => leaves.has(entryId)).length
  return { findings, unable, receipts: receipts.size, held, entries: leaves.size, log }
}
