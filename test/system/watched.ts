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

type Kind = 'numbered' | 'sound'

/** Forty seconds with a number in each frame, or ten seconds of sound alone, from two microphones. */
const words: Record<Kind, string[]> = {
  numbered: [
    ...['-f', 'lavfi', '-i', `testsrc2=s=1280x720:r=25:d=40,${numberedFrames}`, '-f', 'lavfi', '-i', 'sine=d=40'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '50', '-c:a', 'aac'],
  ],
  sound: [
    ...['-f', 'lavfi', '-i', 'sine=d=10', '-f', 'lavfi', '-i', 'sine=f=600:d=10'],
    ...['-map', '0:a', '-map', '1:a', '-c:a', 'aac'],
  ],
}

let started: Promise<TestApi> | undefined
const arrived = new Map<Kind, Promise<RecordingId>>()

/** Sent in, taken into custody and made playable by the whole system. */
const send = async (system: TestApi, kind: Kind): Promise<RecordingId> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'exhibit-watched-'))
  const file = path.join(folder, `${kind}.mp4`)
  await ffmpeg(...words[kind], file)
  const wish = { camera: `CAM-${kind}` }
  const { recording } = await sendFile(system.engines, await aDock(system.engines), await readFile(file), wish)
  await rm(folder, { recursive: true })
  await eventually('every rendition', async () => {
    const shown = await shownOf(system.engines, recording)
    return shown.size > 0 && [...shown.values()].every(({ row }) => row.state === 'ready') ? true : undefined
  })
  return recording
}

/** A viewing of that footage. */
export const openViewing = async (kind: Kind = 'numbered') => {
  started ??= startTestSystem({ env: { RATE_PERSON: '1000', VIEWINGS_OPEN: '500' } })
  const system = await started
  const coming = arrived.get(kind) ?? send(system, kind)
  arrived.set(kind, coming)
  const path = `/api/v1/recordings/${await coming}/viewings`
  const { body } = await system.as('investigator', 'POST', path, { reason: 'To try the player' })
  const { playerUrl } = Value.Parse(ViewingOpened, body)
  return {
    playerUrl,
    end: async () => {
      await fetch(new URL('close', playerUrl), { method: 'POST' })
    },
  }
}

/** That footage is to be made playable anew, and nobody begins. Disposed of, it is as it was. */
export const oweAnew = async (kind: Kind = 'numbered'): Promise<AsyncDisposable> => {
  await (await openViewing(kind)).end()
  const recording = await arrived.get(kind)
  const renditions = (await started)?.engines.db.updateTable('renditions').where('recording', '=', recording ?? null)
  await renditions?.set({ state: 'owed', progress: 0 }).execute()
  return { [Symbol.asyncDispose]: async () => void (await renditions?.set({ state: 'ready', progress: 1 }).execute()) }
}

/** That recording stands so, or its viewer is suspended. Disposed of, it is as it was. */
export const become = async (what: 'suspended' | 'grace' | 'quarantined'): Promise<AsyncDisposable> => {
  const recording = (await arrived.get('numbered')) ?? null
  const db = (await started)?.engines.db
  const stands = (status: 'active' | 'grace' | 'quarantined') =>
    db?.updateTable('recordings').set({ status }).where('id', '=', recording).execute()
  const viewers = (at: Date | null) =>
    db
      ?.updateTable('people')
      .set({ suspendedAt: at })
      .where('id', 'in', (people) => people.selectFrom('viewings').select('person'))
      .execute()
  await (what === 'suspended' ? viewers(new Date()) : stands(what))
  return {
    [Symbol.asyncDispose]: async () => void (await (what === 'suspended' ? viewers(null) : stands('active'))),
  }
}

export const stopWatching = async (): Promise<void> => {
  await (await started)?.[Symbol.asyncDispose]()
}
