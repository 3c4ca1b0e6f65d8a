import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { verifyReceipt } from '../../custody/verify-receipt.ts'
import { AssignmentView, CameraView } from '../../docks/schemas.ts'
import { enrolDock } from '../dock/enrol.ts'
import { readEnrolment } from '../dock/enrolment.ts'
import type { DockEvent, Outcome, Summary } from '../dock/outcome.ts'
import { reporter } from '../dock/report.ts'
import { uploadFolder } from '../dock/upload-folder.ts'
import { showProgress } from '../progress.ts'
import { counted, inBytes, printable } from '../words.ts'
import { tokenOf } from './caller.ts'
import { openFrailLink } from './frail-link.ts'
import type { Scene } from './scene.ts'
import type { Docked } from './shift.ts'

const breakAfterBytes = 12_000_000

/** Footage travels from two cameras through a dock into custody, across a connection that breaks. */
export const dockTheShift = async (scene: Scene): Promise<void> => {
  const { installation, docked, folder, tell, askAs } = scene
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
