import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeOwed, takeAndShow } from '../../src/renditions/actions.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { openStudio, type Studio } from '../footage.ts'
import { aDock, runOf, sendFile } from '../footsteps.ts'
import { damaged, externalMovie, hugeFrames, manyTracks, scripts } from '../hostile.ts'
import { listening } from '../loopback.ts'
import { bytesOf, shownOf } from '../shown.ts'

let studio: Studio
let engines: TestEngines
let dock: Uploader
beforeAll(async () => {
  studio = await openStudio()
  engines = await testEngines()
  dock = await aDock(engines)
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await studio[Symbol.asyncDispose]()
})

const hidden = 'what-nobody-may-read-here'

const movie = async () => await studio.make('index-last.mp4', { layout: 'index-last' })
const files: [string, (address: string) => Promise<Buffer>][] = [
  ...Object.entries(scripts).map(([name, script]): (typeof files)[number] => [
    name,
    async (address) => Buffer.from(script(await studio.write('secret.ts', hidden), address)),
  ]),
  ['a movie whose data is in another file', async () => await externalMovie(studio, 'url', await movie())],
  ['a movie whose data is behind an alias', async () => await externalMovie(studio, 'alias', await movie())],
  ['frames of 16,384 pixels square', async () => await hugeFrames(studio, 16_384)],
  ['a file of 200 tracks', async () => await manyTracks(studio)],
  ['nothing but zeros', async () => Buffer.alloc(1_000_000)],
  ['one byte', async () => Buffer.from('x')],
  ['a movie with a damaged index', async () => await damaged(await movie(), 0)],
  ['a movie with a damaged beginning', async () => await damaged(await movie(), 1)],
  ['a Matroska file with a damaged end', async () => await damaged(await studio.make('h264.mkv'), 2)],
  ['a Matroska file with a damaged beginning', async () => await damaged(await studio.make('h264.mkv'), 3)],
]

test.for(files)(
  '%s ends as renditions or as the words why not, reads nothing else and reaches nobody',
  async ([, make]) => {
    await using listener = await listening()
    const bytes = await make(`http://127.0.0.1:${listener.port}`)
    const { recording } = await sendFile(engines, dock, bytes, { camera: `CAM-${randomUUID()}` })
    await takeAndShow(engines, recording, runOf())
    await makeOwed(engines, recording, runOf())

    const row = await engines.db
      .selectFrom('recordings')
      .select(['status', 'flags'])
      .where('id', '=', recording)
      .executeTakeFirstOrThrow()
    expect(row.status).toBe('active')
    const shown = [...(await shownOf(engines, recording)).values()]
    if (row.flags.includes('unplayable')) expect(shown).toEqual([])
    for (const one of shown) {
      expect(['ready', 'failed']).toContain(one.row.state)
      if (one.row.state === 'failed') expect(one.row.failure).toMatch(/The original is kept and can be downloaded\.$/)
      expect(one.row.failure ?? '').not.toContain(engines.config.SCRATCH_DIR)
      for (const { name } of one.objects) expect((await bytesOf(engines, one, name)).includes(hidden)).toBe(false)
    }
    expect(listener.visits()).toBe(0)
    // However it ended, the original is as it came.
    const { store } = engines
    expect(await store.facts('originals', originalKey(recording))).toMatchObject({ size: bytes.length })
  },
)
