import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import type { Static } from 'typebox'
import { DownloadView } from '../../downloads/schemas.ts'
import type { RecordingView } from '../../recordings/schemas.ts'
import { Failure } from '../failure.ts'
import { inBytes } from '../words.ts'
import type { Scene } from './scene.ts'

/** One recording is fetched again and compared with the camera's file. */
export const fetchOne = async (scene: Scene, items: Static<typeof RecordingView>[]): Promise<void> => {
  const { docked, tell, signal, askAs } = scene
  const wanted = items.find(({ status }) => status === 'active')
  if (wanted === undefined) throw new Failure('Nothing reached custody, so there is nothing to fetch.')
  tell.step('She fetches one again. Her reason is in the ledger before the first byte leaves.')
  const download = await askAs('investigator', 'POST', `/recordings/${wanted.id}/downloads`, DownloadView, {
    reason: 'Demo: compare with the camera',
  })
  const fetched = await digestFrom(download.url, signal)
  const bay = docked.find(({ camera }) => camera === wanted.camera)
  const original = bay === undefined ? undefined : await digestOfFile(path.join(bay.folder, wanted.filename))
  tell.line(`${inBytes(wanted.size)} fetched, sha256 ${fetched}`)
  tell.check(
    'the footage fetched is the footage on the camera, to the byte',
    fetched === original && fetched === wanted.sha256,
  )
}

const digestFrom = async (url: string, signal: AbortSignal): Promise<string> => {
  const response = await fetch(url, { signal })
  if (!response.ok || response.body === null) throw new Failure(`The download was answered ${response.status}.`)
  return await digestOfStream(Readable.fromWeb(response.body))
}

const digestOfFile = async (file: string): Promise<string> =>
  await digestOfStream(createReadStream(file, { highWaterMark: 1024 * 1024 }))

const digestOfStream = async (stream: AsyncIterable<unknown>): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of stream) if (chunk instanceof Uint8Array) hash.update(chunk)
  return hash.digest('hex')
}
