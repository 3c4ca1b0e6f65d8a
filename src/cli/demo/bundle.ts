import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Static } from 'typebox'
import { BundleAccepted, BundleView } from '../../bundles/schemas.ts'
import { verifyBundle } from '../../bundles/verify.ts'
import { publicKeysIn } from '../../custody/verify-receipt.ts'
import { DownloadView } from '../../downloads/schemas.ts'
import { logKeysIn } from '../../ledger/log/verify-proof.ts'
import { Failure } from '../failure.ts'
import { counted, inBytes } from '../words.ts'
import type { Opened } from './case.ts'
import type { Scene } from './scene.ts'

const run = promisify(execFile)
const madeWithinMs = 120_000

/** A bundle is exported, checked by our verifier and by sha256sum, and checked again with one byte changed. */
export const exportBundle = async (scene: Scene, { caseId, exhibits }: Opened): Promise<void> => {
  const { installation, tell, folder, signal, askAs } = scene
  tell.step('A disclosure officer exports a bundle: one ZIP that a stranger can open, play and check without us.')
  const { id } = await askAs('disclosure', 'POST', `/cases/${caseId}/bundles`, BundleAccepted, {
    exhibitIds: exhibits,
    recipient: 'CPS London North',
    purpose: 'Demo: initial details of the prosecution case',
    includeOriginals: true,
  })
  let bundle: Static<typeof BundleView> | undefined
  for (const limit = Date.now() + madeWithinMs; bundle?.state !== 'ready'; await delay(200, undefined, { signal })) {
    bundle = await askAs('disclosure', 'GET', `/bundles/${id}`, BundleView)
    if (bundle.state === 'failed' || Date.now() > limit) throw new Failure(`No bundle was made: ${bundle.failure}`)
  }
  const download = await askAs('disclosure', 'POST', `/bundles/${id}/downloads`, DownloadView, {
    reason: 'Demo: to be sent to the CPS',
  })
  const zip = path.join(folder, `exhibit-bundle-${id}.zip`)
  const { body } = await fetch(download.url, { signal })
  if (body === null) throw new Failure('The bundle could not be fetched.')
  await pipeline(Readable.fromWeb(body), createWriteStream(zip), { signal })
  tell.line(`${inBytes(download.size)} fetched to ${zip}`)

  const published: unknown = await (await fetch(`${installation.url}/api/v1/ledger/keys`, { signal })).json()
  const believed = { keys: publicKeysIn(published), logKeys: logKeysIn(published, '') }
  const whole = await verifyBundle(zip, believed)
  const { proven } = whole.proofs
  tell.check(
    `exhibit verify: ${counted(whole.files, 'file')}, ${counted(whole.receipts, 'receipt')} signed right, ${proven} of ${whole.entries} entries proven to be in the log`,
    whole.ok && proven > 0,
  )
  await run('unzip', ['-q', zip, '-d', folder])
  const unpacked = path.join(folder, `exhibit-bundle-${id}`)
  const { stdout } = await run('sha256sum', ['-c', 'manifest-sha256.txt'], { cwd: unpacked })
  const lines = stdout.trim().split('\n')
  tell.check(
    `sha256sum -c: ${lines.length} files as the manifest says`,
    lines.every((line) => line.endsWith(': OK')),
  )
  tell.line(`open ${path.join(unpacked, 'data/index.html')} in a browser: it plays the exhibits and checks them itself`)

  const media = lines.map((line) => line.replace(/: OK$/, '')).find((file) => /\.mp4$/i.test(file)) ?? ''
  await changeOneByte(path.join(unpacked, media))
  const { ok, findings } = await verifyBundle(unpacked, believed)
  const named = findings.filter(({ path: file }) => file === media)
  tell.line(`one byte of ${media} is changed`)
  tell.check(
    'exhibit verify names that file, and it alone',
    !ok && named.length > 0 && named.length === findings.length,
  )
}

const changeOneByte = async (file: string): Promise<void> => {
  await using handle = await open(file, 'r+')
  const { size } = await handle.stat()
  const at = Math.floor(size / 2)
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at)
  await handle.write(Buffer.from([buffer.readUInt8(0) ^ 1]), 0, 1, at)
}
