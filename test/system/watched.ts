import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Value } from 'typebox/value'
import type { RecordingId } from '../../src/base/ids.ts'
import type { RenditionKind } from '../../src/engines/tables.ts'
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

/** Of these renditions of that footage at most the first seconds are made by now. Disposed of, they are as they were. */
export const halfMade = async (...kinds: RenditionKind[]): Promise<AsyncDisposable> => {
  await (await openViewing()).end()
  const db = (await started)?.engines.db
  const recording = await arrived.get('numbered')
  if (db === undefined || recording === undefined) throw new Error('nothing has arrived')
  const moving = await db
    .selectFrom('renditions')
    .selectAll()
    .where('recording', '=', recording)
    .where('kind', 'in', kinds)
    .execute()
  const ids = moving.map(({ id }) => id)
  const late = db.deleteFrom('renditionObjects').where('rendition', 'in', ids).where('number', '>', 2)
  const objects = await late.returningAll().execute()
  const renditions = db.updateTable('renditions').where('id', 'in', ids)
  await renditions.set({ state: 'working', progress: 0.3, size: null, sha256: null }).execute()
  return {
    [Symbol.asyncDispose]: async () => {
      if (objects.length > 0) await db.insertInto('renditionObjects').values(objects).execute()
      for (const { id, size, sha256 } of moving)
        await db
          .updateTable('renditions')
          .set({ state: 'ready', progress: 1, size, sha256 })
          .where('id', '=', id)
          .execute()
    },
  }
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
