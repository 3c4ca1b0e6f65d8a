import { createHash, type Hash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { Problem } from '../base/problem.ts'
import type { Store } from '../engines/store.ts'
import type { UploadRow } from '../engines/tables.ts'
import { bodyReader, type Patience } from './body.ts'
import type { Budget, Loan } from './budget.ts'
import { type Straight, sendStraight } from './straight.ts'
import { readTails, type Tail } from './tails.ts'
import { type Checksum, digestMatches, hashFor } from './tus.ts'
import { originalKey, partAt, tailKey } from './upload.ts'

export type Part = { number: number; size: number; sha256: Buffer; etag: string }

/** What a request has stored so far and may now be acknowledged: the offset moves to `received`. */
export type Progress = { received: number; parts: Part[]; tails: Tail[]; carried: Tail[] }

export type Request = {
  upload: UploadRow
  tails: Tail[]
  /** The fence of this request; names its tails. */
  writer: number
  multipart: string
  body: Readable
  /** Bytes the request announced, or undefined when it did not say. */
  length: number | undefined
  checksum: Checksum | undefined
  /** Whether the store was seen to refuse bytes under a wrong digest. */
  storeChecks: boolean
  signal: AbortSignal
  patience: Patience
  /** How long a segment may keep its memory while others wait for theirs. */
  holdMs: number
  /** Moves the offset in a transaction; throws when this request may no longer do so. */
  commit(progress: Progress): Promise<void>
  /** Throws when this request may no longer write. Asked between parts. */
  stillMay(): Promise<void>
}

/** Pieces that wait in staging are gathered when they make a part, or when there are this many. */
const mostTails = 32

/** So a request goes on that kept its memory too long while others wait: a bad line must not hold up a good one. */
const smallPiece = 1024 * 1024

/** So many parts of one request are on their way into the store at once; one while others wait for memory. */
const mostStoring = 3

type Segment = {
  loan: Loan
  since: number
  start: number
  filled: number
  /** Where this segment ends: with its part, with the request, or with a small piece. */
  until: number
  /** Where its part ends. */
  end: number
  number: number
  hash: Hash | 'whole'
  carried: Tail[]
  /** Where this part goes on while it comes in. */
  straight: Straight | undefined
}

const bytesOf = ({ loan, filled }: Pick<Segment, 'loan' | 'filled'>): Buffer => loan.bytes.subarray(0, filled)

/**
 * Passes a body on into the store, segment by segment: whole parts into the multipart upload, what is left over into
 * staging. While parts are being stored the next streams in; a request that is exactly one part, under its sha256, goes
 * straight on, and where the store was seen to check digests it alone holds the part against it. With a checksum nothing is
 * acknowledged until the digest matched; without one each part is, and what came before a cut is kept.
 */
export const receive = async (store: Store, budget: Budget, request: Request): Promise<number> => {
  const { upload, checksum, signal } = request
  const whole = hashFor(checksum)
  const failed = new AbortController()
  const halt = AbortSignal.any([signal, failed.signal])
  const reader = bodyReader(request.body, request.patience, halt)
  const last = request.length === undefined ? upload.size : upload.received + request.length
  let position = upload.received
  /** Pieces in staging of the part under way. */
  let tails = request.tails
  let inSmallPieces = false
  let segment: Segment | undefined
  /** The store alone holds this request, one part under the dock's own digest, against it: nothing is digested here. */
  let vouched = false
  /** Parts on their way into the store, oldest first. */
  const storing: Promise<void>[] = []
  const held: Progress = { received: position, parts: [], tails: [], carried: [] }

  /** Of a request that is exactly one part the digest is known beforehand, so the part need not wait for its own bytes. */
  const goStraight = ({ number, start, end }: ReturnType<typeof partAt>, loan: Loan): Straight | undefined => {
    if (checksum?.algorithm !== 'sha256' || request.length !== end - start || upload.received !== start)
      return undefined
    const size = end - start
    return sendStraight(loan.bytes.subarray(0, size), async (body) => {
      const part = { number, body, size, sha256: checksum.digest }
      return await store.streamPart('originals', originalKey(upload.recording), request.multipart, part, halt)
    })
  }

  const begin = async (): Promise<Segment> => {
    const part = partAt(position, upload.partSize, upload.size)
    const until = Math.min(part.end, last, inSmallPieces ? position + smallPiece : part.end)
    const gathers = !inSmallPieces && (until === part.end || tails.length >= mostTails)
    const carried = gathers ? tails : []
    if (gathers) tails = []
    const start = carried[0]?.start ?? position
    const loan = await budget.borrow(until - start, halt)
    const made: Segment = {
      loan,
      since: performance.now(),
      start,
      filled: position - start,
      until,
      end: part.end,
      number: part.number,
      hash: 'whole',
      carried,
      straight: inSmallPieces ? undefined : goStraight(part, loan),
    }
    try {
      if (carried.length > 0) await readTails(store, carried, loan.bytes, halt)
    } catch (error) {
      loan.giveBack(false)
      throw error
    }
    segment = made
    vouched = made.straight !== undefined && request.storeChecks
    // The digest of the first segment and that of the request run together as long as they cover the same bytes.
    if (carried.length > 0 || checksum?.algorithm !== 'sha256' || position !== upload.received) {
      made.hash = createHash('sha256').update(loan.bytes.subarray(0, made.filled))
    }
    return made
  }

  const digestOf = (done: Segment): Buffer => {
    if (done.hash !== 'whole') return done.hash.digest()
    if (vouched && checksum !== undefined) return checksum.digest
    if (whole === undefined) throw new Error('a segment without a digest')
    return whole.copy().digest()
  }

  /** The part does not go straight on after all, or the store refused it: what came of it is digested here. */
  const digestHere = (came: Buffer): void => {
    if (vouched) whole?.update(came)
    vouched = false
  }

  const acknowledge = async (progress: Progress): Promise<void> => {
    if (checksum === undefined) await request.commit(progress)
    else {
      held.received = progress.received
      held.parts.push(...progress.parts)
      held.carried.push(...progress.carried)
      held.tails = [...held.tails, ...progress.tails].filter((tail) => !progress.carried.includes(tail))
    }
  }

  const storePart = async (
    done: Pick<Segment, 'loan' | 'number' | 'filled' | 'end' | 'carried' | 'straight'>,
    sha256: Buffer,
    before: Promise<void> | undefined,
  ): Promise<void> => {
    const body = bytesOf(done)
    let settled = false
    try {
      const went = await done.straight?.finish()
      if (went === null) {
        digestHere(body)
        confirm()
      }
      const part = { number: done.number, body, sha256 }
      const etag =
        went ?? (await store.putPart('originals', originalKey(upload.recording), request.multipart, part, halt))
      settled = went !== null
      await before
      await acknowledge({
        received: done.end,
        parts: [{ number: done.number, size: done.filled, sha256, etag }],
        tails: [],
        carried: done.carried,
      })
    } finally {
      done.loan.giveBack(settled)
    }
  }

  const storeTail = async (done: Segment, tell = true): Promise<void> => {
    const body = bytesOf(done)
    const tail = {
      start: done.start,
      size: done.filled,
      sha256: digestOf(done),
      key: tailKey(upload.id, done.start, request.writer),
    }
    let settled = false
    try {
      await store.put('staging', tail.key, body, tail.sha256, signal)
      settled = true
      if (tell) await acknowledge({ received: position, parts: [], tails: [tail], carried: done.carried })
      tails = [...tails, tail]
    } finally {
      done.loan.giveBack(settled && done.straight === undefined)
    }
  }

  const confirm = (): void => {
    if (checksum === undefined || whole === undefined || vouched) return
    if (!digestMatches(checksum, whole.copy().digest())) throw new Problem('checksum-mismatch')
  }

  const passOn = async (done: Segment): Promise<void> => {
    const sha256 = digestOf(done)
    if (position === last) confirm()
    while (storing.length >= (budget.pressed() ? 1 : mostStoring)) await storing.shift()
    await request.stillMay()
    segment = undefined
    // Stored side by side, acknowledged in order.
    const stored = storePart(done, sha256, storing.at(-1))
    stored.catch((error: unknown) => failed.abort(error))
    storing.push(stored)
  }

  const allStored = async (): Promise<void> => {
    await Promise.all(storing)
  }

  /** Puts what there is of a segment into staging and gives its memory to those who wait. */
  const putAside = async (done: Segment, tell = true): Promise<void> => {
    await allStored()
    await request.stillMay()
    segment = undefined
    done.straight?.drop()
    digestHere(bytesOf(done))
    await storeTail(done, tell)
  }

  /** A part that came in small pieces is whole: they are read together and stored as what they are. */
  const gather = async (): Promise<void> => {
    const { number, start, end } = partAt(position - 1, upload.partSize, upload.size)
    const carried = tails
    const loan = await budget.borrow(end - start, halt)
    tails = []
    const done = { loan, number, filled: end - start, end, carried, straight: undefined }
    const body = loan.bytes.subarray(0, end - start)
    try {
      await readTails(store, carried, body, halt)
    } catch (error) {
      loan.giveBack(false)
      throw error
    }
    await storePart(done, createHash('sha256').update(body).digest(), undefined)
  }

  const settle = async (done: Segment): Promise<void> => {
    if (!inSmallPieces) return await passOn(done)
    if (position === last) confirm()
    const makesPart = position === done.end
    await putAside(done, !makesPart)
    if (makesPart) await gather()
  }

  const fill = async (chunk: Buffer): Promise<void> => {
    if (position + chunk.length > last)
      throw new Problem('too-large', 'The body is longer than what is left of the declared length.')
    for (let at = 0; at < chunk.length; ) {
      const into = segment ?? (await begin())
      const wanted = Math.min(chunk.length - at, into.until - position)
      const piece = chunk.subarray(at, at + wanted)
      piece.copy(into.loan.bytes, into.filled)
      if (!vouched) whole?.update(piece)
      if (into.hash !== 'whole') into.hash.update(piece)
      into.filled += wanted
      into.straight?.came(into.filled)
      position += wanted
      at += wanted
      if (position === into.end || (inSmallPieces && position === into.until)) await settle(into)
    }
    if (segment === undefined || !budget.pressed() || performance.now() - segment.since < request.holdMs) return
    inSmallPieces = true
    await putAside(segment)
  }

  const finish = async (): Promise<void> => {
    await allStored()
    if (segment !== undefined) await storeTail(segment)
    segment = undefined
  }

  /** Without a checksum, what came before the connection broke is kept: it then ends like a shorter body. */
  const broken: unknown[] = []
  const unlessBroken = async <Come>(come: () => Promise<Come>): Promise<Come | null> => {
    try {
      return await come()
    } catch (error) {
      if (checksum !== undefined || halt.aborted) throw error
      broken.push(error)
      return null
    }
  }
  /** Memory comes first, but after a sign of life: what waits for it waits in the kernel, and who is silent holds none. */
  const next = async (): Promise<Buffer | null> => {
    if (segment === undefined && position < last) {
      if ((await unlessBroken(reader.ready)) !== true) return null
      await begin()
    }
    return await unlessBroken(reader.next)
  }

  try {
    for (let chunk = await next(); chunk !== null; chunk = await next()) await fill(chunk)
    if (segment !== undefined) digestHere(bytesOf(segment))
    confirm()
    await finish()
    if (checksum !== undefined) await request.commit(held)
    if (broken.length > 0) throw broken[0]
    return position
  } catch (error) {
    await Promise.allSettled(storing)
    // Whoever ended this request says why; what its call to the store said when it was cut off does not matter.
    throw signal.aborted ? signal.reason : error
  } finally {
    reader.close()
    if (segment?.straight !== undefined) failed.abort(new Error('the request is over'))
    segment?.loan.giveBack(segment.straight === undefined)
  }
}
