import { setTimeout as delay } from 'node:timers/promises'
import { type Static, Type } from 'typebox'
import type { CaseId, ExhibitId, RecordingId } from '../../base/ids.ts'
import { CaseId as CaseOpened, ExhibitId as ExhibitAdded, MemberView } from '../../cases/schemas.ts'
import { ClipAccepted, ClipView } from '../../clips/schemas.ts'
import { Me } from '../../people/schemas.ts'
import type { RecordingView } from '../../recordings/schemas.ts'
import { Failure } from '../failure.ts'
import { inBytes } from '../words.ts'
import type { Scene } from './scene.ts'

export type Opened = { caseId: CaseId; exhibits: ExhibitId[]; recording: RecordingId }

const clipWithinMs = 120_000

/** The seconds that matter are cut and put into a case. Undefined where nothing can be cut. */
export const openTheCase = async (
  { tell, signal, askAs }: Scene,
  items: Static<typeof RecordingView>[],
): Promise<Opened | undefined> => {
  const [source] = items
    .filter(({ status, tracks }) => status === 'active' && tracks.some(({ kind }) => kind === 'video'))
    .filter(({ flags, duration }) => !flags.includes('unplayable') && (duration ?? 0) > 1)
    .toSorted((one, other) => (other.duration ?? 0) - (one.duration ?? 0))
  if (source === undefined) {
    tell.step('Nothing here has a picture, so there is no clip, no case and no bundle to show.')
    return undefined
  }
  tell.step(
    'She cuts the seconds that matter: exactly these frames, the middle copied bit for bit where that is proven.',
  )
  const length = source.duration ?? 0
  const [start, end] = [0.31 * length, 0.31 * length + Math.min(6, length / 2)].map((at) => Number(at.toFixed(2)))
  const asked = { start, end, title: 'The seconds that matter', reason: 'Demo: for the case' }
  const { id } = await askAs('investigator', 'POST', `/recordings/${source.id}/clips`, ClipAccepted, asked)
  let clip = await askAs('investigator', 'GET', `/clips/${id}`, ClipView)
  for (const limit = Date.now() + clipWithinMs; clip.state !== 'ready'; await delay(200, undefined, { signal })) {
    clip = await askAs('investigator', 'GET', `/clips/${id}`, ClipView)
    if (clip.state === 'failed' || Date.now() > limit) throw new Failure(`The clip was not cut: ${clip.failure}`)
  }
  tell.line(`${start} to ${end} s: ${clip.frames} frames, ${inBytes(clip.size ?? 0)}, ${clip.method}`)
  const { exact } = clip.provenance ?? {}
  tell.check(
    'its first and last frame begin within what was asked for',
    exact !== undefined && exact.first >= (start ?? 0) && exact.last < (end ?? 0),
  )

  tell.step('Clip and recording go into a case as exhibits. Who is no member does not learn that the case exists.')
  const { id: caseId } = await askAs('investigator', 'POST', '/cases', CaseOpened, {
    reference: `26/CR/${Date.now() % 1_000_000}`,
    title: 'Demo: robbery at Station Road',
  })
  const officer = await askAs('disclosure', 'GET', '/me', Me)
  await askAs('investigator', 'PUT', `/cases/${caseId}/members/${officer.id}`, MemberView, { role: 'disclosure' })
  const add = async (what: object, reference: string, description: string): Promise<ExhibitId> => {
    const words = { reference, sensitivity: 'none', description }
    const added = await askAs('investigator', 'POST', `/cases/${caseId}/exhibits`, ExhibitAdded, { ...what, ...words })
    tell.line(`${reference}: ${description}`)
    return added.id
  }
  const exhibits = [
    await add({ clipId: id }, 'CM/1', 'The seconds that matter'),
    await add({ recordingId: source.id }, 'CM/2', 'The whole recording'),
  ]
  const strangers = await askAs('investigator:2', 'GET', '/cases', Type.Object({ items: Type.Array(Type.Unknown()) }))
  tell.check('another investigator, who is no member, sees no case', strangers.items.length === 0)
  return { caseId, exhibits, recording: source.id }
}
