import type { BundleId, CaseId, ExhibitId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { whyGivenUp } from '../custody/given-up.ts'
import type { Sensitivity } from '../engines/case-tables.ts'
import type { ClipState, RecordingStatus } from '../engines/tables.ts'
import { whyWithheld } from '../recordings/recording.ts'

/** Key in the bucket `derived`. The erasure of a recording takes every bundle with its footage: our copy, not the recipient's. */
export const bundleKey = (id: BundleId): string => `bundles/${id}.zip`

/** The one top folder of the ZIP. */
export const bundleFolder = (id: BundleId): string => `exhibit-bundle-${id}`

/** A line that is printed on papers: trimmed, its letters composed. Throws `bad-request` for what cannot be seen there. */
export const printedLine = (text: string, name: string): string => {
  const line = text.normalize('NFC').trim()
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(line))
    throw new Problem(
      'bad-request',
      `The ${name} holds characters that are invisible or turn the direction of writing.`,
    )
  return line
}

const mebibyte = 1024 * 1024
const smallPart = 16 * mebibyte
const largePart = 32 * mebibyte
/** What a multipart upload may have at most. */
const mostParts = 10_000
/** Texts and tables of a bundle, far more than they ever come to. */
const forTexts = 1024 * mebibyte

/** Media of so many bytes fits into one bundle: parts are held in memory, and must not grow with it. */
export const largestBundle = mostParts * largePart - forTexts

/** Bytes of a part of a bundle whose media has so many. */
export const partSizeOf = (media: number): number => (media + forTexts > mostParts * smallPart ? largePart : smallPart)

/** From `start` to `end`, in seconds of the recording; null is the whole of it. */
type Range = { start: number; end: number } | null

/** An exhibit as far as it matters whether it may go out. */
export type Disclosable = {
  exhibit: ExhibitId
  case: CaseId
  reference: string
  sensitivity: Sensitivity
  withdrawnAt: Date | null
  recording: string
  status: RecordingStatus
  /** Null where it is no clip. */
  clip: { state: ClipState; range: Range } | null
}

/** One that is asked for; `givenUp`: nobody examines its footage any more. */
export type Wanted = Disclosable & { givenUp: boolean }

const whyHidden = ({ reference, status }: Disclosable): Problem | undefined => {
  if (status !== 'quarantined' && status !== 'grace' && status !== 'erased') return undefined
  const { code, message } = whyWithheld(status)
  return new Problem(code, `${reference}: ${message}`)
}

const whyNotHeld = (exhibit: Wanted): Problem | undefined => {
  const { reference, status, clip, givenUp } = exhibit
  switch (status) {
    case 'received':
    case 'verified':
      if (givenUp) return whyGivenUp(status, 'conflict', `The footage of ${reference}`)
      return new Problem('not-ready', `The footage of ${reference} is still being examined.`, { retryAfter: 5 })
    case 'due':
      return new Problem('conflict', `The footage of ${reference} is due for erasure.`)
    case 'quarantined':
    case 'grace':
    case 'erased':
      return whyHidden(exhibit)
    case 'active':
      break
  }
  if (clip === null || clip.state === 'ready') return undefined
  return clip.state === 'failed'
    ? new Problem('conflict', `The clip ${reference} could not be cut.`)
    : new Problem('not-ready', `The clip ${reference} is being cut.`, { retryAfter: 5 })
}

const shares = (a: Range, b: Range): boolean => a === null || b === null || (a.start < b.end && b.start < a.end)

/** Of which part of its recording the bundle holds footage, because of this exhibit. */
const disclosed = ({ clip }: Disclosable, includeOriginals: boolean): Range =>
  clip === null || includeOriginals ? null : clip.range

const rangeOf = ({ clip }: Disclosable): Range => clip?.range ?? null

/**
 * The first sensitive exhibit of the case of which the bundle would hold footage although nobody asked for it: inside a
 * whole recording, or where two clips overlap. A clip that somebody cut out of a sensitive recording is taken at its word.
 */
const sensitiveWithin = (
  wanted: readonly Disclosable[],
  sensitive: readonly Disclosable[],
  includeOriginals: boolean,
): [Disclosable, Disclosable] | undefined => {
  for (const each of wanted) {
    const out = disclosed(each, includeOriginals)
    const inside = sensitive.find(
      (other) =>
        other.recording === each.recording && !(out !== null && other.clip === null) && shares(out, rangeOf(other)),
    )
    if (inside !== undefined) return [each, inside]
  }
  return undefined
}

/** Why these exhibits of a case may not go out in one bundle, whatever became of their footage; undefined when they may. */
const whyKeptBack = (
  wanted: readonly Disclosable[],
  sensitive: readonly Disclosable[],
  includeOriginals: boolean,
): Problem | undefined => {
  const withdrawn = wanted.find(({ withdrawnAt }) => withdrawnAt !== null)
  if (withdrawn !== undefined) return new Problem('conflict', `${withdrawn.reference} was withdrawn from the case.`)
  const marked = wanted.filter(({ sensitivity }) => sensitivity === 'sensitive').map(({ reference }) => reference)
  if (marked.length > 0) return new Problem('exhibit-sensitive', `${marked.join(', ')} is marked sensitive.`)
  const hidden = sensitiveWithin(wanted, sensitive, includeOriginals)
  if (hidden === undefined) return undefined
  const [each, inside] = hidden
  const how = each.clip === null ? '' : ' (its original, or where both overlap)'
  return new Problem(
    'exhibit-sensitive',
    `The footage of ${each.reference}${how} holds that of ${inside.reference}, which is marked sensitive.`,
  )
}

/**
 * Why these exhibits of a case may not go out in one bundle, or not now; undefined when they may. `sensitive` are the
 * sensitive exhibits that stand in the case. Called when a bundle is asked for and once more when it is published.
 */
export const whyNotDisclosed = (
  wanted: readonly Wanted[],
  sensitive: readonly Disclosable[],
  includeOriginals: boolean,
): Problem | undefined => {
  const kept = whyKeptBack(wanted, sensitive, includeOriginals)
  if (kept?.code === 'exhibit-sensitive') return new Problem(kept.code, `${kept.message} No bundle was made.`)
  return kept ?? wanted.map(whyNotHeld).find((problem) => problem !== undefined)
}

/**
 * Why a bundle that was made is given out no more: the same of its exhibits as they are now. What nobody can take back is
 * said as well. Called whenever somebody would have it.
 */
export const whyNotGiven = (
  exhibits: readonly Disclosable[],
  sensitive: readonly Disclosable[],
  includeOriginals: boolean,
): Problem | undefined => {
  const hidden = exhibits.map(whyHidden).find((problem) => problem !== undefined)
  const kept = hidden ?? whyKeptBack(exhibits, sensitive, includeOriginals)
  if (kept === undefined) return undefined
  const after = 'The bundle is given out no more; a copy that somebody fetched before stays with whoever has it.'
  return new Problem(kept.code, `${kept.message} ${after}`)
}
