import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { Static } from 'typebox'
import { AssignmentView, CameraView } from '../../docks/schemas.ts'
import { DownloadView } from '../../downloads/schemas.ts'
import { pageOf } from '../../people/page.ts'
import { RecordingView } from '../../recordings/schemas.ts'
import { ViewingOpened, ViewingView } from '../../viewings/schemas.ts'
import { enrolDock } from '../dock/enrol.ts'
import { readEnrolment } from '../dock/enrolment.ts'
import type { DockEvent, Outcome, Summary } from '../dock/outcome.ts'
import { reporter } from '../dock/report.ts'
import { uploadFolder } from '../dock/upload-folder.ts'
import { Failure } from '../failure.ts'
import { showProgress } from '../progress.ts'
import type { Installation } from '../up/start.ts'
import { verifyReceipt } from '../verify-receipt.ts'
import { counted, inBytes, printable } from '../words.ts'
import { type AskAs, callers, tokenOf } from './caller.ts'
import { openFrailLink } from './frail-link.ts'
import type { Docked } from './shift.ts'
import type { Teller } from './teller.ts'
import { watch } from './watch.ts'

const Recordings = pageOf(RecordingView)
const breakAfterBytes = 12_000_000

type Scene = {
  installation: Installation
  docked: Docked[]
  folder: string
  tell: Teller
  signal: AbortSignal
  /** Where a browser is to try the player, the file for a still of its page. */
  still: string | undefined
}

/** The whole story on a running installation. Throws Failure where the house did not do what it promises. */
export const tellStory = async (scene: Scene): Promise<void> => {
  const { installation, docked, folder, tell, signal } = scene
  const askAs = callers(installation.url, installation.issuer)

  tell.step('A camera belongs to an officer for a time, so that each officer later sees their own footage.')
  for (const { camera, officer } of docked) {
    await askAs('admin', 'POST', '/cameras', CameraView, { serial: camera, model: 'Demo BWC' })
    const from = new Date(Date.now() - 12 * 3_600_000).toISOString()
    await askAs('admin', 'PUT', `/cameras/${camera}/assignment`, AssignmentView, { officer, from })
    tell.line(`${camera} is worn by ${officer}`)
  }

  tell.step('A dock makes its own key pair and registers the public half: no shared secret is stored anywhere.')
  const link = await openFrailLink(new URL(installation.url), breakAfterBytes, () =>
    tell.line('✂ the demo cut the connection in the middle of an upload'),
  )
  try {
    const keyFile = path.join(folder, 'dock.json')
    const { dock } = await enrolDock({
      name: 'Demo dock',
      site: 'Front desk',
      keyFile,
      url: link.url,
      token: await tokenOf(installation.issuer, 'admin'),
    })
    tell.line(`dock ${dock}, private key in ${keyFile}`)

    tell.step('The dock announces every file it holds, learns what is owed, and sends each piece under its own digest.')
    tell.line('The connection is about to break once. What was acknowledged is never sent again.')
    const summaries: Summary[] = []
    // One file at a time at first, so that the break falls into the long one.
    for (const [at, bay] of docked.entries()) summaries.push(await sendBay(scene, bay, keyFile, at === 0 ? 1 : 4))
    await proveReceipts(scene, summaries, keyFile)
    await askAgain(scene, keyFile)
  } finally {
    link.close()
  }

  tell.step('An investigator sees the catalogue. Flags say what a viewer must know; they never keep evidence out.')
  const { items } = await askAs('investigator', 'GET', '/recordings?limit=200', Recordings)
  for (const each of items) {
    const flags = each.flags.length === 0 ? 'no flags' : each.flags.join(', ')
    tell.line(
      `${each.camera} ${printable(each.filename)}: ${each.status}${each.duration === null ? '' : `, ${each.duration.toFixed(1)} s`}, ${flags}`,
    )
  }
  const own = await askAs('officer', 'GET', '/recordings?limit=200', Recordings)
  tell.line(`The officer PC1001 sees ${counted(own.items.length, 'recording')} of these: their own.`)
  tell.check(
    'no officer sees the footage of another',
    own.items.every(({ officer }) => officer === 'PC1001'),
  )

  await watchOne(scene, askAs, items)

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

const playable = (recording: Static<typeof RecordingView>): boolean =>
  recording.renditions.some(({ kind, state }) => kind === 'hls' && state === 'ready')

const watchOne = async (
  { tell, still, signal }: Scene,
  askAs: AskAs,
  items: Static<typeof RecordingView>[],
): Promise<void> => {
  const shown = items.filter(({ status, flags }) => status === 'active' && !flags.includes('unplayable'))
  const [wanted] = shown.toSorted((left, right) => (right.duration ?? 0) - (left.duration ?? 0))
  if (wanted === undefined) return
  tell.step('She watches one. That she does, and why, is on record before the first frame leaves; so is what she sees.')
  for (const limit = Date.now() + 60_000; ; await delay(200, undefined, { signal })) {
    if (playable(await askAs('investigator', 'GET', `/recordings/${wanted.id}`, RecordingView))) break
    if (Date.now() > limit) throw new Failure('The footage did not get playable.')
  }
  const viewing = await askAs('investigator', 'POST', `/recordings/${wanted.id}/viewings`, ViewingOpened, {
    reason: 'Demo: see that it plays',
  })
  tell.line(`the player, for ${new Date(viewing.expiresAt).toISOString()} at the latest: ${viewing.playerUrl}`)
  if (still === undefined) return
  const { frames, seconds, strangers } = await watch(viewing.playerUrl, still)
  tell.check(`a browser played ${seconds.toFixed(1)} s of it, ${counted(frames, 'frame')}`, frames > 10 && seconds > 1)
  tell.check('the page asked no other host for anything', strangers.length === 0)
  const { watched } = await askAs('investigator', 'GET', `/viewings/${viewing.id}`, ViewingView)
  tell.line(`seen, as recorded: ${watched.map(([from, to]) => `${from.toFixed(1)} to ${to.toFixed(1)} s`).join(', ')}`)
  tell.check(
    'what was seen is on record',
    watched.some(([from, to]) => from < 0.1 && to >= seconds),
  )
  tell.line(`a still of the page: ${still}`)
}

const sendBay = async (
  { signal, folder, tell }: Scene,
  bay: Docked,
  keyFile: string,
  parallel: number,
): Promise<Summary> => {
  tell.line(`${bay.camera}: ${counted(bay.files.length, 'file')}`)
  const progress = showProgress(process.stdout)
  const told = reporter(progress)
  let broken: string | undefined
  const onEvent = (event: DockEvent): void => {
    told(event)
    if (event.type === 'retrying') broken ??= event.name
    if (event.type !== 'sending' || event.name !== broken) return
    progress.say(`   ↻ ${event.name} goes on at ${inBytes(event.done)} of ${inBytes(event.size)}`)
    broken = ''
  }
  const receiptsFolder = path.join(folder, 'receipts')
  await mkdir(receiptsFolder, { recursive: true })
  const now = new Date()
  const summary = await uploadFolder({
    folder: bay.folder,
    keyFile,
    camera: bay.camera,
    clocks: { camera: now, dock: now },
    receiptsFolder,
    chunkBytes: 8 * 1024 * 1024,
    parallel,
    signal,
    onEvent,
  }).finally(() => progress.close())
  if (broken !== undefined) {
    const arrived = summary.files.every(({ state }) => state !== 'failed' && state !== 'unfinished')
    tell.check('after the break every file of that camera still got where it had to go', arrived)
  }
  return summary
}

const proveReceipts = async ({ tell }: Scene, summaries: Summary[], keyFile: string): Promise<void> => {
  tell.step(
    'A receipt is signed only after the store was read back. The dock checks each with the key it kept at enrolment.',
  )
  const { installationKeys } = await readEnrolment(keyFile)
  const all = summaries.flatMap(({ files }) => files)
  for (const file of all) {
    if (file.receipt === undefined) {
      tell.line(`✗ ${file.name}: no receipt. ${file.detail}`)
      continue
    }
    const claims = await verifyReceipt(file.receipt, installationKeys)
    tell.check(
      `${file.name}: receipt verified, ${inBytes(claims.size)} read back at ${claims.readBackAt}`,
      claims.sha256 === file.sha256,
    )
  }
  const kept = all.filter(({ state }) => state === 'quarantined')
  if (kept.length > 0)
    tell.line(
      `${counted(kept.length, 'file')} in quarantine: kept, not served, and the camera must not be wiped of it. A supervisor decides.`,
    )
}

const askAgain = async ({ docked, signal, tell }: Scene, keyFile: string): Promise<void> => {
  tell.step('The dock announces the same files again: only `held` may be wiped from a camera.')
  for (const bay of docked) {
    const outcomes: Outcome[] = []
    const states = new Map<string, string>()
    await uploadFolder({
      folder: bay.folder,
      keyFile,
      camera: bay.camera,
      signal,
      onEvent: (event) => {
        if (event.type === 'announced') for (const { name, state } of event.files) states.set(name, state)
        if (event.type === 'outcome') outcomes.push(event.outcome)
      },
    })
    tell.line(`${bay.camera}: ${[...states].map(([name, state]) => `${printable(name)} ${state}`).join(', ')}`)
  }
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
