import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hex, sha256 } from '../src/base/digest.ts'
import { newId, type RecordingId, type RenditionId, type Sha256, type UploadId } from '../src/base/ids.ts'
import { initName } from '../src/renditions/commands.ts'
import { renditionKey } from '../src/renditions/rendition.ts'
import type { Installation } from './installation.ts'

/** What a viewer may watch: the names of its pieces, which are files under `root` too, and their keys in the store. */
export type Watchable = { recording: RecordingId; pieces: string[]; keys: string[] }

export const segmentSeconds = 6
const beginning = 1000

/**
 * Puts recordings into the catalogue that are like `example` but for what is in their rendition: so many segments of random
 * bytes each, in the store and under `root/<recording>/`.
 */
export const makeWatchable = async (
  { engines }: Installation,
  example: RecordingId,
  root: string,
  { recordings, segments, bytes }: { recordings: number; segments: number; bytes: number },
): Promise<Watchable[]> => {
  const { clock, db, store } = engines
  const row = await db.selectFrom('recordings').selectAll().where('id', '=', example).executeTakeFirstOrThrow()
  const upload = await db.selectFrom('uploads').selectAll().where('id', '=', row.upload).executeTakeFirstOrThrow()
  const made: Watchable[] = []
  for (let index = 0; index < recordings; index++) {
    const recording = newId<RecordingId>()
    const ids = { upload: newId<UploadId>(), rendition: newId<RenditionId>() }
    const digest: Sha256 = hex(randomBytes(32))
    const json = { tracks: JSON.stringify(row.tracks), facts: JSON.stringify(row.facts) }
    const metadata = JSON.stringify(upload.metadata)
    await db
      .insertInto('uploads')
      .values({ ...upload, metadata, id: ids.upload, recording })
      .execute()
    await db
      .insertInto('recordings')
      .values({ ...row, ...json, id: recording, upload: ids.upload, sha256: digest })
      .execute()
    const rendition = {
      ...({
        id: ids.rendition,
        recording,
        kind: 'hls',
        state: 'ready',
        progress: 1,
        failure: null,
        tool: null,
      } as const),
      ...{ sourceSha256: digest, size: segments * bytes, sha256: digest, owedAt: clock.now() },
    }
    await db.insertInto('renditions').values(rendition).execute()
    const pieces: string[] = []
    const keys: string[] = []
    for (let number = 0; number <= segments; number++) {
      const name = number === 0 ? initName : `${String(number).padStart(5, '0')}.m4s`
      const content = randomBytes(number === 0 ? beginning : bytes)
      const contentDigest = sha256(content)
      const key = renditionKey(recording, ids.rendition, name)
      await store.put('derived', key, content, contentDigest)
      const times =
        number === 0 ? { start: 0, duration: 0 } : { start: (number - 1) * segmentSeconds, duration: segmentSeconds }
      const object = {
        rendition: ids.rendition,
        number,
        name,
        ...times,
        size: content.length,
        sha256: hex(contentDigest),
      }
      await db.insertInto('renditionObjects').values(object).execute()
      if (number === 0) continue
      const file = join(root, recording, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
      pieces.push(name)
      keys.push(key)
    }
    made.push({ recording, pieces, keys })
  }
  return made
}
