import type { Sample } from './excerpt.ts'
import { carriesData, NotPlain, type ParameterSets, pictureIds, sequenceFacts, type Unit } from './h264.ts'

/**
 * What of a range is copied: the samples `from` to `to` exclusive of the excerpt. `before` frames come first and `after`
 * follow; those are encoded.
 */
export type Copy = { from: number; to: number; before: number; after: number }

const slice = new Set([1, 5])
const parameters = new Set([7, 8])
/** Supplemental information, delimiters and filler: no picture needs them, and bytes of any kind may stand in them. */
const beside = new Set([6, 9, 10, 11, 12])

export const isIdr = (units: Unit[]): boolean => units.some(({ type }) => type === 5)

/** Why the stream's parameter sets do not let its pictures be copied between others. */
export const whyNotPlain = ({ lengthSize, sps, pps }: ParameterSets): string | undefined => {
  const [set] = sps
  if (set === undefined || sps.length > 1) return 'it has more than one set of parameters for its sequences'
  if (lengthSize !== 4) return 'its units stand behind lengths of an unusual size'
  const { id, profile, fullFrames, plainColours } = sequenceFacts(set)
  if (![66, 77, 100].includes(profile)) return 'its profile is neither Baseline, Main nor High'
  if (!fullFrames) return 'its pictures may be interlaced'
  if (!plainColours) return 'its colours are not of the usual kind'
  const pictures = pps.map(pictureIds)
  if (pictures.length === 0 || new Set(pictures.map((picture) => picture.id)).size < pictures.length)
    return 'its pictures have no or ambiguous parameters'
  if (pictures.some(({ sequence }) => sequence !== id)) return 'its parameters do not belong together'
  return undefined
}

/** Why the samples cannot be copied as they are: parameters that change, or units of a kind that nobody expects. */
export const whyNotCopied = (units: Unit[], { sps, pps }: ParameterSets): string | undefined => {
  for (const { type, bytes } of units) {
    if (slice.has(type)) continue
    if (beside.has(type)) continue
    if (!parameters.has(type)) return `it holds units of type ${type}`
    if (!(type === 7 ? sps : pps).some((set) => set.equals(bytes))) return 'its parameters change on the way'
  }
  return undefined
}

/** Which bytes of a sample are copied: its pictures, their parameters, and what of the rest is for players alone. */
export const copiedParts = (units: Unit[]): { start: number; end: number }[] =>
  units
    .filter((unit) => (unit.type === 6 ? !carriesData(unit) : !beside.has(unit.type)))
    .map(({ start, end }) => ({ start, end }))

/**
 * The longest run of samples that can be copied: from the first key frame at which nothing of before is needed, up to where
 * what has been decoded is also what has been shown. `wanted`: when each frame begins, in order; `starts`: whether a sample
 * is a frame at which decoding starts anew (IDR). Throws NotPlain where there is none.
 */
export const copyOf = (samples: Sample[], wanted: number[], starts: (sample: number) => boolean): Copy => {
  const place = new Map(wanted.map((pts, at) => [pts, at]))
  if (place.size < wanted.length) throw new NotPlain('two of its frames begin at one moment')
  const first = wanted[0] ?? 0
  let latest = Number.NEGATIVE_INFINITY
  let from = -1
  for (const [at, { pts, sync }] of samples.entries()) {
    if (sync && pts >= first && pts > latest && place.has(pts) && starts(at)) {
      from = at
      break
    }
    latest = Math.max(latest, pts)
  }
  const before = from === -1 ? undefined : place.get(samples[from]?.pts ?? Number.NaN)
  if (before === undefined) throw new NotPlain('no frame within the range can be decoded by itself')

  // Whatever is decoded from here on up to a moment is exactly what is shown up to another.
  let to = from
  let highest = before - 1
  for (let at = from; at < samples.length; at++) {
    const shown = place.get(samples[at]?.pts ?? Number.NaN)
    if (shown === undefined || shown < before) break
    highest = Math.max(highest, shown)
    if (highest - before === at - from) to = at + 1
  }
  if (to === from) throw new NotPlain('what can be decoded by itself is shown in another order')
  return { from, to, before, after: wanted.length - before - (to - from) }
}
