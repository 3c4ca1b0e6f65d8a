import { createHash, generateKeyPairSync } from 'node:crypto'
import { checkpointText, type TreeHead } from '../src/base/checkpoint.ts'
import { accumulator, consistencyPath, leafHash, rootOf } from '../src/base/merkle.ts'
import { type NoteKey, noteKey, signNote, vkeyOf } from '../src/base/note.ts'

export const makeNoteKey = (name: string, type: 1 | 4 = 1) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const x = publicKey.export({ format: 'jwk' }).x ?? ''
  const key = noteKey(name, type, Buffer.from(x, 'base64url'))
  return { key, privateKey, vkey: vkeyOf(key) }
}

/** A log of some leaves in memory, with a key of its own; two of other `leaves` are forks of each other. */
export type SmallLog = ReturnType<typeof makeSmallLog>

export const makeSmallLog = (origin: string, leaves = 'leaf', signer = makeNoteKey(origin)) => {
  const hashes = Array.from({ length: 64 }, (_, index) =>
    leafHash(createHash('sha256').update(`${leaves} ${index}`).digest()),
  )
  const headAt = (size: number): TreeHead => ({ origin, size, root: rootOf(hashes.slice(0, size)) })
  const signed = (head: TreeHead, by: { key: NoteKey; privateKey: typeof signer.privateKey } = signer): string =>
    signNote(checkpointText(head), by.key, by.privateKey)

  const pathFrom = async (old: number, size: number): Promise<Buffer[]> =>
    await consistencyPath(old, size, async (level, index) => {
      const subtree = accumulator()
      for (const hash of hashes.slice(index * 2 ** level, (index + 1) * 2 ** level)) subtree.add(hash)
      return subtree.root()
    })
  return { origin, signer, hashes, headAt, pathFrom, signed, noteAt: (size: number) => signed(headAt(size)) }
}

/** What is posted to a witness. */
export const submissionOf = (old: number, path: readonly Buffer[], note: string): string =>
  [`old ${old}`, ...path.map((hash) => hash.toString('base64')), '', note].join('\n')

/** An honest one. */
export const growth = async (log: SmallLog, old: number, size: number): Promise<string> =>
  submissionOf(old, await log.pathFrom(old, size), log.noteAt(size))
