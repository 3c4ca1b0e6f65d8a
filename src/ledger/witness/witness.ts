import { cosign, type TreeHead } from '../../base/checkpoint.ts'
import { emptyRoot, verifyConsistency } from '../../base/merkle.ts'
import { type NoteKey, parseVkey } from '../../base/note.ts'
import type { Clock } from '../../engines/clock.ts'
import { SetupError } from '../../engines/embedded/setup-error.ts'
import type { WitnessFolder } from './folder.ts'
import { hashOfOrigin } from './records.ts'
import { linesOfLog, parseSubmission, type Submission } from './submission.ts'
import { makeTurns } from './turns.ts'

/** How a submission ended; `log` is the origin, where it is one that the witness knows and whose key signed. */
export type Outcome =
  | { as: 'malformed' | 'unknown-log' | 'not-signed' }
  | { as: 'old-is-larger' | 'inconsistent' | 'clock-behind'; log: string }
  | { as: 'conflict'; log: string; size: number }
  | { as: 'fork'; log: string; size: number; kept: string }
  | { as: 'cosigned'; log: string; size: number; line: string }

export type Witness = {
  key: NoteKey
  /** Origins. */
  logs: string[]
  /** Never cosigns two checkpoints of a log that contradict each other; throws DamagedRecord rather than forget one. */
  addCheckpoint(body: Uint8Array): Promise<Outcome>
  /** The newest cosigned checkpoint of the log whose origin has this SHA-256 in hex; undefined when there is none. */
  checkpoint(hash: string): Promise<string | undefined>
}

/** The keys of each log by its origin, which is their name. Throws a SetupError in words. */
export const readLogKeys = (vkeys: readonly string[]): Map<string, NoteKey[]> => {
  const logs = new Map<string, NoteKey[]>()
  for (const vkey of vkeys) {
    const key = parseVkey(vkey)
    if (key === null)
      throw new SetupError(
        `${vkey} is not the key of a log: it reads <origin>+<8 hex digits>+<base64>, as the log's own operator gives it.`,
      )
    logs.set(key.name, [...(logs.get(key.name) ?? []), key])
  }
  return logs
}

const judge = ({ old, path, head }: Submission, latest: Pick<TreeHead, 'size' | 'root'>) => {
  if (old !== latest.size) return 'conflict'
  if (old === head.size && old > 0 && !head.root.equals(latest.root)) return 'fork'
  if (head.size === 0 && !head.root.equals(emptyRoot)) return 'inconsistent'
  const claim = { oldSize: old, oldRoot: latest.root, size: head.size, root: head.root, path }
  return verifyConsistency(claim) ? 'consistent' : 'inconsistent'
}

/** A clock that was set back by less than this is waited for by repeating the time of the last cosignature. */
const patienceSeconds = 60

/** C2SP tlog-witness over the folder of a witness, for the logs with these keys. */
export const makeWitness = (
  folder: WitnessFolder,
  logs: ReadonlyMap<string, readonly NoteKey[]>,
  clock: Clock,
): Witness => {
  const inTurn = makeTurns()

  const consider = async (submission: Submission, signed: string): Promise<Outcome> => {
    const { text, head } = submission
    const { origin: log, size } = head
    const kept = await folder.read(hashOfOrigin(log))
    const latest = kept?.head ?? { size: 0, root: emptyRoot }
    const verdict = judge(submission, latest)
    if (verdict === 'conflict') return { as: verdict, log, size: latest.size }
    if (verdict === 'inconsistent') return { as: verdict, log }
    if (verdict === 'fork')
      return { as: verdict, log, size, kept: await folder.keepFork({ head, note: `${text}\n${signed}` }) }

    // A cosignature says that nothing larger was seen by its time: of two, the larger tree may not have the earlier one.
    const now = Math.floor(clock.now().getTime() / 1000)
    const seconds = Math.max(now, kept?.seconds ?? 0)
    if (seconds > now + patienceSeconds) return { as: 'clock-behind', log }
    const line = cosign(text, seconds, folder.key, folder.privateKey)
    const note = `${text}\n${signed}${line}`
    if (note !== kept?.note) await folder.write({ head, note })
    return { as: 'cosigned', log, size, line }
  }

  return {
    key: folder.key,
    logs: [...logs.keys()],
    addCheckpoint: async (body) => {
      const submission = parseSubmission(body)
      if (submission === null) return { as: 'malformed' }
      const { origin: log, size } = submission.head
      const keys = logs.get(log)
      if (keys === undefined) return { as: 'unknown-log' }
      const signed = linesOfLog(submission, keys)
      if (signed === null) return { as: 'not-signed' }
      if (submission.old > size) return { as: 'old-is-larger', log }
      // Nobody else reads or writes the record between the comparison and its end.
      return await inTurn(log, async () => await consider(submission, signed))
    },
    checkpoint: async (hash) => (await folder.read(hash))?.note,
  }
}
