import { unlink } from 'node:fs/promises'
import { hex } from '../../base/digest.ts'
import type { ReceiptClaims } from '../../custody/receipt.ts'
import { digestOf } from './digest.ts'
import { isUnchanged, openFound } from './folder.ts'
import type { Prepared } from './prepare.ts'

/**
 * Deletes a file that is in custody: only with the verified receipt of this very file, and only while the file is the one
 * whose digest was computed. Answers why it was left, or undefined when it is gone.
 */
export const wipe = async (file: Prepared, claims: ReceiptClaims): Promise<string | undefined> => {
  if (claims.sha256 !== file.sha256 || claims.size !== file.size) return 'The receipt is for another file.'
  if (file.racy && !(await stillHasDigest(file))) return 'It changed since it was read.'
  if (!(await isUnchanged(file))) return 'It changed since it was read.'
  await unlink(file.path)
  return undefined
}

const stillHasDigest = async (file: Prepared): Promise<boolean> => {
  await using handle = await openFound(file)
  return hex(await digestOf(handle, 0, file.size)) === file.sha256
}
