import { setTimeout as delay } from 'node:timers/promises'
import type { Static } from 'typebox'
import { RecordingView } from '../../recordings/schemas.ts'
import { ViewingOpened, ViewingView } from '../../viewings/schemas.ts'
import { Failure } from '../failure.ts'
import { counted } from '../words.ts'
import type { Scene } from './scene.ts'
import { watch } from './watch.ts'

const playable = (recording: Static<typeof RecordingView>): boolean =>
  recording.renditions.some(({ kind, state }) => kind === 'hls' && state === 'ready')

/** The longest recording is watched, in a browser where one is to try the player. */
export const watchOne = async (
  { tell, still, signal, askAs }: Scene,
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
  tell.line(`a still of the page, which goes with the data folder unless --still names another: ${still}`)
}
