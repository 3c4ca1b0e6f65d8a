import { hex } from '../../base/digest.ts'
import type { Sha256 } from '../../base/ids.ts'
import { Failure } from '../failure.ts'
import { digestOf } from './digest.ts'
import { type Found, openFound, refuseChanged } from './folder.ts'
import { isRacy } from './memory.ts'
import type { Dock } from './open-dock.ts'
import type { KnownOfFile } from './sidecar.ts'

/** A file that can be announced. */
export type Prepared = Found & {
  /** Computed here, from the file itself. */
  sha256: Sha256
  /** Whether it must be computed again before anything is destroyed on its word. */
  racy: boolean
  /** What the installation is told: the camera's own digest when there is one. */
  declared: Sha256
  recordedAt: string
  known: KnownOfFile
}

const hasControls = (name: string): boolean => [...name].some((each) => each < ' ' || each === '\u007f')

const recordedAtOf = (found: Found, known: KnownOfFile): string => {
  const at = known.recordedAt ?? found.mtime.toISOString()
  if (/^\d{4}-/.test(at)) return at
  throw new Failure('The date of the file cannot be written: give its recordedAt in exhibit-dock.json.')
}

/** Reads the file once for its digest, unless it is remembered. Throws when the file cannot be read or told of. */
export const prepare = async (dock: Dock, found: Found, known: KnownOfFile): Promise<Prepared> => {
  const { memory, signal, tell } = dock
  const { name, size } = found
  if (hasControls(name) || name.length > 4096)
    throw new Failure('The name of the file holds control characters: rename it.')
  const recordedAt = recordedAtOf(found, known)
  const sha256 =
    memory.digest(found) ?? (await read(found, signal, (done) => tell({ type: 'hashing', name, done, size })))
  memory.rememberDigest(found, sha256)
  if (known.sha256 !== undefined && known.sha256 !== sha256) {
    tell({
      type: 'note',
      text: `${name} does not have the digest that its camera gave: it is sent under the camera's word, and the installation will look into it.`,
    })
  }
  return { ...found, sha256, racy: isRacy(found, Date.now()), declared: known.sha256 ?? sha256, recordedAt, known }
}

const read = async (found: Found, signal: AbortSignal, onBytes: (done: number) => void): Promise<Sha256> => {
  await using handle = await openFound(found)
  const digest = await digestOf(handle, 0, found.size, { signal, onBytes })
  await refuseChanged(handle, found)
  return hex(digest)
}
