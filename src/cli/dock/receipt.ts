import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReceiptClaims } from '../../custody/receipt.ts'
import { NotVerified, verifyReceipt } from '../../custody/verify-receipt.ts'
import { readEnrolment } from './enrolment.ts'
import type { Dock } from './open-dock.ts'
import type { Prepared } from './prepare.ts'
import { Refusal, readRetryAfter } from './refusal.ts'

/** The receipt; or that it is not to be had there, and the manifest tells more; or that our time for waiting is over. */
type Asked = { jws: string } | { refused: Refusal } | 'still-owed'

const askedPerSecond = 10

/** Asks for a receipt until it is there, `until` (on the clock of `performance.now()`) at most. */
export const awaitReceipt = async (dock: Dock, file: Prepared, address: string, until: number): Promise<Asked> => {
  const { signal, installation } = dock
  dock.tell({ type: 'waiting', name: file.name })
  dock.waiting++
  try {
    for (;;) {
      const answer = await dock.untilDone(
        async () => await installation.call({ method: 'GET', to: address, signal }),
        file.name,
      )
      if (answer.status === 200) return { jws: answer.text.trim() }
      if (performance.now() > until) return 'still-owed'
      // However many files wait, all together ask only so often.
      const wait = Math.max(
        500,
        readRetryAfter(answer.headers['retry-after'], Date.now()),
        (dock.waiting / askedPerSecond) * 1000,
      )
      await sleep(wait, undefined, { signal })
    }
  } catch (error) {
    if (error instanceof Refusal && [404, 410, 422].includes(error.status)) return { refused: error }
    throw error
  } finally {
    dock.waiting--
  }
}

/** What a receipt states, when it is one that this dock believes and is for this very file; otherwise why not. */
export const checkReceipt = async (
  dock: Dock,
  file: Prepared,
  jws: string,
): Promise<{ claims: ReceiptClaims } | { doubt: string }> => {
  const { keyFile, camera } = dock.options
  let claims: ReceiptClaims
  try {
    claims = await verify(dock, jws)
  } catch (error) {
    if (!(error instanceof NotVerified)) throw error
    if (error.reason !== 'unknown-key') return { doubt: error.message }
    return {
      doubt: `Its receipt is signed with the key ${error.kid}, which this dock does not know. If an administrator confirms that key, run: exhibit dock keys --key ${keyFile} --accept ${error.kid}`,
    }
  }
  if (claims.sha256 !== file.sha256 || claims.size !== file.size || claims.camera !== camera) {
    return { doubt: 'The receipt is genuine, but for another file than the one that is here.' }
  }
  return { claims }
}

/** A key may have been accepted since this dock began, so the key file is read again before a receipt is doubted. */
const verify = async (dock: Dock, jws: string): Promise<ReceiptClaims> => {
  try {
    return await verifyReceipt(jws, dock.enrolment.installationKeys)
  } catch (error) {
    if (!(error instanceof NotVerified) || error.reason !== 'unknown-key') throw error
    const { installationKeys } = await readEnrolment(dock.options.keyFile)
    return await verifyReceipt(jws, installationKeys)
  }
}

/** Keeps a receipt where the dock's owner wants them, under the recording's id. */
export const keepReceipt = async (folder: string, claims: ReceiptClaims, jws: string): Promise<void> => {
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, `${claims.recordingId}.receipt.jws`), `${jws}\n`)
}
