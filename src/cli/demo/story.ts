import type { Static } from 'typebox'
import { pageOf } from '../../people/page.ts'
import { RecordingView } from '../../recordings/schemas.ts'
import { counted, printable } from '../words.ts'
import { exportBundle } from './bundle.ts'
import { callers } from './caller.ts'
import { openTheCase } from './case.ts'
import { dockTheShift } from './docking.ts'
import { fetchOne } from './fetching.ts'
import { tellTheLedger } from './ledger.ts'
import { keepToTheSchedule } from './retention.ts'
import type { Scene } from './scene.ts'
import { until } from './until.ts'
import { watchOne } from './watching.ts'

const Recordings = pageOf(RecordingView)

/** The whole story on a running installation. Throws Failure where the house did not do what it promises. */
export const tellStory = async (on: Omit<Scene, 'askAs'>): Promise<void> => {
  const scene: Scene = { ...on, askAs: callers(on.installation.url, on.installation.issuer) }
  await dockTheShift(scene)
  const items = await seeTheCatalogue(scene)
  await watchOne(scene, items)
  await fetchOne(scene, items)
  const opened = await openTheCase(scene, items)
  if (opened !== undefined) await exportBundle(scene, opened)
  await keepToTheSchedule(scene, items, opened?.recording)
  const told = opened?.recording ?? items.find(({ status }) => status === 'active')?.id
  if (told !== undefined) await tellTheLedger(scene, told)
}

/** Receipts do not wait for the examination, by which flags are known. */
const underWay = new Set<string>(['received', 'verified'])

const seeTheCatalogue = async ({ tell, askAs, signal }: Scene): Promise<Static<typeof RecordingView>[]> => {
  tell.step('An investigator sees the catalogue. Flags say what a viewer must know; they never keep evidence out.')
  const items = await until(signal, 'every recording examined', async () => {
    const page = await askAs('investigator', 'GET', '/recordings?limit=200', Recordings)
    return page.items.some(({ status }) => underWay.has(status)) ? undefined : page.items
  })
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

  return items
}
