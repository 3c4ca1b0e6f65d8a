import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Static, Type } from 'typebox'
import { IdOf, type PurgeId, type RecordingId } from '../../base/ids.ts'
import { publicKeysIn } from '../../custody/verify-receipt.ts'
import { RecordingView } from '../../recordings/schemas.ts'
import { PolicyView, PurgeView, Restored, RetentionView, SimulationView } from '../../retention/schemas.ts'
import { verifyErasure } from '../../retention/verify-erasure.ts'
import { Failure } from '../failure.ts'
import { counted, inBytes, printable } from '../words.ts'
import type { AskAs } from './caller.ts'
import { tokenOf } from './caller.ts'
import type { Scene } from './scene.ts'
import { until } from './until.ts'

const grace = 'PT2S'
const Accepted = Type.Object({ id: IdOf.purge })

/** A policy is simulated, approved by a second person, and carried out: one recording is restored, one erased. */
export const keepToTheSchedule = async (
  scene: Scene,
  items: Static<typeof RecordingView>[],
  exhibit: RecordingId | undefined,
): Promise<void> => {
  const { tell, askAs, signal } = scene
  const held = items.filter(({ status, id }) => (status === 'active' || status === 'verified') && id !== exhibit)
  const category = (held.find((each) => each.category !== null) ?? held[0])?.category
  const wanted = held.filter((each) => each.category === category)
  if (category === undefined) return

  tell.step('The retention officer drafts a policy. Before it takes effect it is tried on the whole catalogue.')
  const draft = { category, trigger: 'recorded', period: 'PT1S', grace }
  const policy = await askAs('retention', 'POST', '/retention/policies', PolicyView, draft)
  const simulation = `/retention/policies/${policy.id}/simulation`
  await askAs('retention', 'POST', simulation, Type.Object({ id: Type.String() }))
  const { atOnce } = await until(signal, 'the simulation', async () => {
    const found = await askAs('retention:2', 'GET', simulation, SimulationView)
    return found.state === 'ready' ? found : undefined
  })
  tell.line(`it would make ${counted(atOnce.count, 'recording')} due at once, ${inBytes(atOnce.bytes)}`)
  await askAs('retention:2', 'POST', `/retention/policies/${policy.id}/approval`, PolicyView)
  tell.line('a second person, who has seen that, approves it')
  if (exhibit !== undefined) {
    const { words } = await askAs('retention', 'GET', `/recordings/${exhibit}/retention`, RetentionView)
    tell.line(`of the recording in the case it is said: ${words}`)
  }

  tell.step('A purge hides what is due. For its grace it can be restored, and the store itself protects it.')
  const first = await purge(askAs, signal)
  tell.line(`${counted(first.hidden, 'recording')} hidden`)
  const hidden = await withStatus(askAs, wanted, 'grace')
  tell.check(
    'it hid what the simulation had said, and nothing else',
    first.hidden === atOnce.count && hidden.length === first.hidden,
  )
  const [erased, ...restored] = hidden
  if (erased === undefined) return
  for (const { id, filename } of restored) {
    await askAs('supervisor', 'POST', `/recordings/${id}/restoration`, Restored, {
      reason: 'Demo: a complaint came in',
    })
    tell.line(`${printable(filename)} is restored, under a hold`)
  }

  tell.step('When the grace is over it is erased: every object deleted and asked for again, and a proof of it signed.')
  const last = await until(signal, 'the erasure', async () => {
    const done = await purge(askAs, signal)
    return done.erased > 0 ? done : undefined
  })
  tell.check('one recording was erased', last.erased === 1)
  await proveErasure(scene, erased)
  if (exhibit === undefined) return
  const kept = await askAs('investigator', 'GET', `/recordings/${exhibit}`, RecordingView)
  tell.check('what is in an open case was not touched', kept.status === 'active')
}

const purge = async (askAs: AskAs, signal: AbortSignal): Promise<Static<typeof PurgeView>> => {
  const { id }: { id: PurgeId } = await askAs('retention', 'POST', '/retention/purges', Accepted)
  return await until(signal, 'the end of the purge', async () => {
    const found = await askAs('retention', 'GET', `/retention/purges/${id}`, PurgeView)
    return found.state === 'running' ? undefined : found
  })
}

const withStatus = async (askAs: AskAs, items: Static<typeof RecordingView>[], status: string) => {
  const now = await Promise.all(
    items.map(async ({ id }) => await askAs('retention', 'GET', `/recordings/${id}`, RecordingView)),
  )
  return now.filter((each) => each.status === status)
}

const proveErasure = async (
  { tell, folder, installation, signal }: Scene,
  { id, filename, sha256 }: Static<typeof RecordingView>,
): Promise<void> => {
  const { url, issuer } = installation
  const get = async (to: string, token?: string): Promise<string> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const answer = await fetch(`${url}/api/v1${to}`, { headers, signal })
    if (!answer.ok) throw new Failure(`${to} was answered ${answer.status}.`)
    return await answer.text()
  }
  const proof = await get(`/recordings/${id}/erasure`, await tokenOf(issuer, 'retention'))
  const keys: unknown = JSON.parse(await get('/ledger/keys'))
  const claims = await verifyErasure(proof, publicKeysIn(keys))
  const file = path.join(folder, 'erasure.jws')
  await writeFile(file, proof)
  tell.check(
    `${printable(filename)}: proof of erasure verified, ${counted(claims.objects, 'object')} gone at ${claims.erasedAt}`,
    claims.recordingId === id && claims.sha256 === sha256,
  )
  const answer = await fetch(`${url}/api/v1/recordings/${id}/viewings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await tokenOf(issuer, 'investigator')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'Demo: to see that it is gone' }),
    signal,
  })
  tell.check('nobody can watch it any more', answer.status === 422)
}
