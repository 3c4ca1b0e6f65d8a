/**
 * A file of the bundle: `size` in bytes, `crc` the CRC-32 that a ZIP states of it. One that is `barred` was found wrong
 * already and is not to be read.
 */
export type Member = { size: number; crc?: number; barred?: true }

/** A bundle as a ZIP or as a folder. What is wrong with the container itself was found when it was opened. */
export type Source = AsyncDisposable & {
  kind: 'zip' | 'folder'
  /** The name of the folder that holds the bag; null where there is none, or more than one. */
  top: string | null
  /** By their paths below that folder, with slashes. */
  members: ReadonlyMap<string, Member>
  /** The bytes of a member, block by block in the same memory. Throws what the system says, or Cut. */
  read(path: string): AsyncIterable<Uint8Array>
}

/** More files than this are not looked at: the list itself would be the attack. */
export const mostFiles = 200_000

/** A file ended before it should have. */
export class Cut extends Error {
  readonly after: number
  constructor(after: number) {
    super(`the file ends after ${after} bytes`)
    this.name = 'Cut'
    this.after = after
  }
}
