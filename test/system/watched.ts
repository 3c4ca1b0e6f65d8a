import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Value } from 'typebox/value'
import type { RecordingId } from '../../src/base/ids.ts'
import { ViewingOpened } from '../../src/viewings/schemas.ts'
import type { TestApi } from '../api.ts'
import { aDock, sendFile } from '../footsteps.ts'
import { numberedFrames } from '../numbered-frames.ts'
import { ffmpeg, shownOf } from '../shown.ts'
import { eventually, startTestSystem } from '../system.ts'

let started: Promise<{ system: TestApi; recording: RecordingId }> | undefined

/** Forty seconds with a number in each frame, sent in, taken into custody and made playable by the whole system. */
const start = async () => {
  const system = await startTestSystem({ env: { RATE_PERSON: '1000', VIEWINGS_OPEN: '500' } })
  const folder = await mkdtemp(path.join(tmpdir(), 'exhibit-watched-'))
  const file = path.join(folder, 'numbered.mp4')
  const picture = `testsrc2=s=1280x720:r=25:d=40,${numberedFrames}`
  await ffmpeg(
    ...['-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', 'sine=d=40'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '50', '-c:a', 'aac', file],
  )
  const { recording } = await sendFile(system.engines, await aDock(system.engines), await readFile(file))
  await rm(folder, { recursive: true })
  await eventually('every rendition', async () => {
    const shown = await shownOf(system.engines, recording)
    return shown.size > 0 && [...shown.values()].every(({ row }) => row.state === 'ready') ? true : undefined
  })
  return { system, recording }
}

/** A viewing of that footage. */
export const openViewing = async () => {
  started ??= start()
  const { system, recording } = await started
  const path = `/api/v1/recordings/${recording}/viewings`
  const { body } = await system.as('investigator', 'POST', path, { reason: 'To try the player' })
  const { playerUrl } = Value.Parse(ViewingOpened, body)
  return {
    playerUrl,
    end: async () => {
      await fetch(new URL('close', playerUrl), { method: 'POST' })
    },
  }
}

export const stopWatching = async (): Promise<void> => {
  await (await started)?.system[Symbol.asyncDispose]()
}
