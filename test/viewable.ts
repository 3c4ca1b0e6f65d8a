import { hex, sha256 } from '../src/base/digest.ts'
import { newId, type RecordingId, type RenditionId } from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { RenditionFacts, RenditionKind, RenditionState } from '../src/engines/tables.ts'
import { renditionKey } from '../src/renditions/rendition.ts'

type Wanted = { state?: RenditionState; progress?: number; failure?: string; facts?: RenditionFacts }
type Stored = { name: string; start?: number; duration?: number; bytes: Buffer }

/** A rendition in this state whose objects are really in the store. */
export const rendered = async (
  { db, store, clock }: Engines,
  recording: RecordingId,
  kind: RenditionKind,
  objects: Stored[],
  { state = 'ready', progress = 1, failure, facts = {} }: Wanted = {},
): Promise<RenditionId> => {
  const id = newId<RenditionId>()
  const digest = hex(sha256(...objects.map(({ bytes }) => bytes)))
  const made = state === 'ready' ? { size: 1, sha256: digest } : { size: null, sha256: null }
  await db
    .insertInto('renditions')
    .values({
      id,
      recording,
      kind,
      state,
      progress,
      failure: failure ?? null,
      sourceSha256: digest,
      tool: null,
      facts: JSON.stringify(facts),
      ...made,
      owedAt: clock.now(),
    })
    .execute()
  for (const [number, { name, start = 0, duration = 0, bytes }] of objects.entries()) {
    await store.put('derived', renditionKey(recording, id, name), bytes, sha256(bytes))
    const row = { rendition: id, number, name, start, duration, size: bytes.length, sha256: hex(sha256(bytes)) }
    await db.insertInto('renditionObjects').values(row).execute()
  }
  return id
}

/** The beginning and `count` segments of six seconds each, a hundred bytes and one more for each. */
export const movingObjects = (count: number): Stored[] => [
  { name: 'init.mp4', bytes: Buffer.from('the beginning') },
  ...Array.from({ length: count }, (_, n) => ({
    name: `${String(n + 1).padStart(5, '0')}.m4s`,
    start: n * 6,
    duration: 6,
    bytes: Buffer.alloc(101 + n, n + 1),
  })),
]

/** All there is to watch: four segments of each kind that moves, a poster, and a storyboard of one sheet. */
export const viewable = async (engines: Engines, recording: RecordingId): Promise<void> => {
  await rendered(engines, recording, 'hls', movingObjects(4), { facts: { width: 1280, height: 720 } })
  await rendered(engines, recording, 'proxy', movingObjects(4), { facts: { width: 854, height: 480 } })
  const pictures = ['a picture', 'a small picture'].map((text) => Buffer.from(text))
  const names = ['poster.jpg', 'thumbnail.jpg']
  await rendered(
    engines,
    recording,
    'poster',
    pictures.map((bytes, index) => ({ name: names[index] ?? '', bytes })),
  )
  const facts = { interval: 12, columns: 2, rows: 2, pictures: 2, width: 160, height: 90 }
  const sheets = [{ name: 'sheet-000.jpg', duration: 24, bytes: Buffer.from('two pictures') }]
  await rendered(engines, recording, 'storyboard', sheets, { facts })
}
