import { type Box, type Budget, boxesIn, childrenOf, contentOf, type ReadAt, TooMuch } from './boxes.ts'
import { type Defaults, defaultsOf, fragmentOf } from './fragments.ts'
import { type TrackIndex, trackOf } from './sample-tables.ts'

/** Why a file is known to be cut short. */
export type Truncation =
  | 'no-index'
  | 'index-beyond-end'
  | 'incomplete-fragment'
  | 'fewer-packets'
  | 'shorter-than-declared'

/** What the boxes of an MP4 or QuickTime file say of themselves. */
export type Movie = {
  truncated: Truncation | null
  tracks: TrackIndex[]
  /** Contents of the boxes that may carry a position, at most a kilobyte of each. */
  xyz?: Buffer
  loci?: Buffer
  notes: string[]
}

const limits: Budget = { boxes: 1_000_000, rows: 40_000_000 }
const mostTracks = 1000
const blockLength = 8192

/** Serves small neighbouring reads, which boxes make many of, from one block. */
const blockwise = (readAt: ReadAt): ReadAt => {
  let from = 0
  let block: Buffer = Buffer.alloc(0)
  return async (offset, length) => {
    if (length > blockLength) return await readAt(offset, length)
    if (offset < from || offset + length > from + block.length) {
      block = await readAt(offset, blockLength)
      from = offset
    }
    return block.subarray(offset - from, offset - from + length)
  }
}

type Moov = Pick<Movie, 'tracks' | 'xyz' | 'loci'> & { defaults: Defaults | null; allTracks: boolean }

/** Positions stand in the movie's user data (`©xyz`, `loci`), and by 3GPP also in a track's. */
const positionsIn = async (readAt: ReadAt, parent: Box, budget: Budget): Promise<Pick<Movie, 'xyz' | 'loci'>> => {
  const { udta } = await childrenOf(readAt, parent, ['udta'], budget)
  if (udta === undefined) return {}
  const { '\xa9xyz': xyz, loci } = await childrenOf(readAt, udta, ['\xa9xyz', 'loci'], budget)
  return {
    ...(xyz === undefined ? {} : { xyz: await contentOf(readAt, xyz, 1024) }),
    ...(loci === undefined ? {} : { loci: await contentOf(readAt, loci, 1024) }),
  }
}

const moovOf = async (readAt: ReadAt, moov: Box, budget: Budget): Promise<Moov> => {
  const found: Moov = { tracks: [], defaults: null, allTracks: true }
  for await (const box of boxesIn(readAt, moov.body, moov.end, budget)) {
    if (box.type === 'mvex') found.defaults = await defaultsOf(readAt, box, budget)
    if (box.type !== 'trak') continue
    if (found.tracks.length === mostTracks) {
      found.allTracks = false
      break
    }
    const track = await trackOf(readAt, box, budget)
    if (track !== null) found.tracks.push(track)
    Object.assign(found, await positionsIn(readAt, box, budget))
  }
  return Object.assign(found, await positionsIn(readAt, moov, budget))
}

type Survey = {
  moov: Moov | null
  fragments: number
  fragmentEnd: number
  last: Box | null
  /** Where the boxes that make sense end. */
  end: number
}

const survey = async (readAt: ReadAt, size: number, budget: Budget): Promise<Survey> => {
  const seen: Survey = { moov: null, fragments: 0, fragmentEnd: 0, last: null, end: 0 }
  for await (const box of boxesIn(readAt, 0, size, budget)) {
    seen.last = box
    seen.end = box.end
    if (box.type === 'moov' && !box.cut) seen.moov ??= await moovOf(readAt, box, budget)
    if (box.type !== 'moof') continue
    seen.fragments += 1
    if (box.cut) continue
    const { samples, dataEnd } = await fragmentOf(readAt, box, seen.moov?.defaults ?? new Map(), budget)
    seen.fragmentEnd = Math.max(seen.fragmentEnd, dataEnd)
    for (const track of seen.moov?.tracks ?? []) track.samples += samples.get(track.id) ?? 0
  }
  return seen
}

/** A fragmented file that lost its end: in a header, in a fragment's index, or in its data. */
const fragmentIsIncomplete = ({ moov, fragments, fragmentEnd, last, end }: Survey, size: number): boolean => {
  if (moov?.defaults == null && fragments === 0) return false
  if (fragments === 0) return moov?.tracks.every(({ samples }) => samples === 0) === true
  if (fragmentEnd > size || last?.type === 'moof') return true
  const lost = last?.cut === true && last.type === 'mdat'
  return lost || (size > end && size - end < 8)
}

const truncationOf = (seen: Survey, size: number): Truncation | null => {
  if (seen.moov === null) return 'no-index'
  if (seen.moov.tracks.some(({ dataEnd, external }) => !external && dataEnd > size)) return 'index-beyond-end'
  return fragmentIsIncomplete(seen, size) ? 'incomplete-fragment' : null
}

/**
 * Reads the index of an MP4 or QuickTime file of `size` bytes in bounded memory and time, and judges from it alone whether
 * the file is whole. Never throws for what the file holds.
 */
export const readMovie = async (readAt: ReadAt, size: number): Promise<Movie> => {
  try {
    const seen = await survey(blockwise(readAt), size, { ...limits })
    const { tracks = [], xyz, loci, allTracks = true } = seen.moov ?? {}
    const notes = [
      ...(tracks.some(({ external }) => external) ? ['names another file as its data; that was not opened'] : []),
      ...(allTracks ? [] : [`has more than ${mostTracks} tracks; the rest was not looked at`]),
    ]
    return {
      truncated: truncationOf(seen, size),
      tracks,
      ...(xyz === undefined ? {} : { xyz }),
      ...(loci === undefined ? {} : { loci }),
      notes,
    }
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    return { truncated: null, tracks: [], notes: [`whether it is whole was not checked: ${error.message}`] }
  }
}
