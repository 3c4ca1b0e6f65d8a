import { buffer } from 'node:stream/consumers'
import type { RecordingId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { actor, type Person } from '../people/person.ts'
import { thumbnailName } from '../renditions/commands.ts'
import { renditionKey } from '../renditions/rendition.ts'
import { thumbnailsOf } from './queries.ts'
import { isComplete } from './viewing.ts'

/**
 * A small picture of each of these recordings, for a list: of those that the person may see and that have one. A picture is
 * sight: which ones are given is an entry before they are. Throws `store-unavailable`.
 */
export const giveThumbnails = async (engines: Engines, person: Person, ids: RecordingId[]) => {
  const { clock, db, store } = engines
  const found = (await thumbnailsOf(db, person, [...new Set(ids)])).filter(isComplete)
  const pictures = await Promise.all(
    found.map(async ({ recording, rendition }) => {
      const stream = await store.read('derived', renditionKey(recording, rendition, thumbnailName))
      // One that is being made again is not there for a moment.
      if (stream === null) return []
      const picture = await buffer(stream)
      return [{ recording, picture: `data:image/jpeg;base64,${picture.toString('base64')}` }]
    }),
  )
  const items = pictures.flat()
  await inTransaction(db, async (tx) => {
    await record(tx, clock, {
      operation: 'consultation',
      action: 'recording.thumbnails',
      subject: { type: 'recordings', id: 'catalogue' },
      actor: actor(person, 'recording.thumbnails'),
      detail: { asked: ids, shown: items.map(({ recording }) => recording) },
    })
  })
  return { items }
}
