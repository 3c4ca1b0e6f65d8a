import { cosignedAt, parseWhole } from '../../base/checkpoint.ts'
import { hex, sha256 } from '../../base/digest.ts'
import { isLineOf, type NoteKey, parseNote, signatureLine } from '../../base/note.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'

// The log's side of C2SP tlog-witness. What a witness answers is hostile input.

const mostBytes = 16 * 1024

/** Why nothing was cosigned; `ahead`: it says that it has seen more of the log than there is, and does not show it. */
export type Failure = 'ahead' | 'nonsense' | 'refused' | 'timed-out' | 'unreachable'

export class WitnessFailed extends Error {
  readonly as: Failure
  constructor(as: Failure, message: string, cause?: unknown) {
    super(message, { cause })
    this.as = as
  }
}

type Answer = { status: number; text: string }

const readAnswer = async (response: Response): Promise<string> => {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body ?? []) {
    bytes += piece.length
    // Leaving the loop ends the connection.
    if (bytes > mostBytes) throw new WitnessFailed('nonsense', `its answer has more than ${mostBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** Throws WitnessFailed; where the signal is aborted by a time limit, as `timed-out`. */
const ask = async (url: string, signal: AbortSignal, body?: string): Promise<Answer> => {
  const headers = { 'accept-encoding': 'identity', 'content-type': 'text/plain; charset=utf-8' }
  const asked = body === undefined ? { headers } : { method: 'POST', body, headers }
  try {
    const response = await fetch(url, { ...asked, signal, redirect: 'manual' })
    return { status: response.status, text: await readAnswer(response) }
  } catch (error) {
    if (error instanceof WitnessFailed) throw error
    if (signal.aborted) throw new WitnessFailed('timed-out', 'it did not answer in time', error)
    throw new WitnessFailed('unreachable', 'it cannot be reached, or it broke off', error)
  }
}

/** What a witness is shown: `text` is that of `note`, which the log signed. */
export type Shown = { old: number; path: readonly Buffer[]; note: string }

/** Of the answer to a submission: its lines, the size that it has instead, or that it does not believe the proof. */
export type Reply = { lines: string } | { size: number } | 'inconsistent'

const add = async ({ url }: ConfiguredWitness, { old, path, note }: Shown, signal: AbortSignal): Promise<Answer> => {
  const lines = path.map((hash) => `${hash.toString('base64')}\n`)
  return await ask(`${url}/add-checkpoint`, signal, `old ${old}\n${lines.join('')}\n${note}`)
}

const replyIn = ({ status, text }: Answer, old: number): Reply => {
  if (status === 200) return { lines: text }
  if (status === 422) return 'inconsistent'
  if (status !== 409) throw new WitnessFailed('refused', `it answers with the status ${status}`)
  const size = parseWhole(text.replace(/\n$/, ''))
  if (size === null || size === old) throw new WitnessFailed('nonsense', 'it names no other size')
  return { size }
}

export const submit = async (witness: ConfiguredWitness, shown: Shown, signal: AbortSignal): Promise<Reply> =>
  replyIn(await add(witness, shown, signal), shown.old)

/** Seconds since the Unix epoch. */
type Times = { from: number; to: number }

/**
 * The newest cosignature by this key over the checkpoint's text. Lines by other keys are passed over. Throws WitnessFailed
 * when there is none, one of the key is wrong, or its time is outside of `times`.
 */
export const cosignatureIn = (lines: string, text: string, key: NoteKey, times: Times): string => {
  const note = parseNote(`${text}\n${lines}`)
  if (note?.text !== text) throw new WitnessFailed('nonsense', 'its answer is not of signature lines')
  const own = note.signatures.filter((line) => isLineOf(line, key))
  const timed = own.map((line) => ({ line, seconds: cosignedAt(text, line, key) }))
  if (timed.some(({ seconds }) => seconds === null))
    throw new WitnessFailed('nonsense', 'a signature under its key is not of this checkpoint')
  const [newest] = timed.toSorted((one, other) => (other.seconds ?? 0) - (one.seconds ?? 0))
  if (newest === undefined) throw new WitnessFailed('nonsense', 'none of its signatures is by its key')
  const seconds = newest.seconds ?? 0
  if (seconds < times.from || seconds > times.to)
    throw new WitnessFailed('nonsense', 'the time of its signature cannot be: one of the clocks is wrong')
  return signatureLine(key, newest.line.signature)
}

const askServed = async ({ url }: ConfiguredWitness, origin: string, signal: AbortSignal): Promise<Answer> =>
  await ask(`${url}/${hex(sha256(origin))}/checkpoint`, signal)

/** The newest checkpoint of a log that the witness serves; null when it serves none. */
export const servedBy = async (
  witness: ConfiguredWitness,
  origin: string,
  signal: AbortSignal,
): Promise<string | null> => {
  const { status, text } = await askServed(witness, origin, signal)
  return status === 200 ? text : null
}

const anyTime: Times = { from: 0, to: Number.POSITIVE_INFINITY }

/**
 * How many leaves of a log a witness has seen. It is shown a checkpoint of `size` leaves that it may have: what it serves may
 * be old, or nothing at all, but whoever submits what it has left behind is told its size. 0 where it does not know the log.
 * Throws WitnessFailed.
 */
export const sizeSeen = async (
  witness: ConfiguredWitness,
  { size, note }: { size: number; note: string },
  signal: AbortSignal,
): Promise<number> => {
  const answer = await add(witness, { old: size, path: [], note }, signal)
  if (answer.status === 404) return 0
  const reply = replyIn(answer, size)
  if (reply === 'inconsistent') throw new WitnessFailed('refused', 'it does not see that the log only grew')
  if ('size' in reply) return reply.size
  cosignatureIn(reply.lines, parseNote(note)?.text ?? '', witness.key, anyTime)
  return size
}

/** The same as `servedBy`, for whoever has to know that it serves none: throws WitnessFailed where it does not say that. */
export const seenBy = async (
  witness: ConfiguredWitness,
  origin: string,
  signal: AbortSignal,
): Promise<string | null> => {
  const { status, text } = await askServed(witness, origin, signal)
  if (status === 200) return text
  if (status === 404) return null
  throw new WitnessFailed('refused', `it answers with the status ${status}`)
}
