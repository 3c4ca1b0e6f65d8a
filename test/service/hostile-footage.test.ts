import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStudio, type Studio } from '../footage.ts'
import { damaged, externalMovie, hugeFrames, manyTracks, referenceKinds, scripts } from '../hostile.ts'
import { listening } from '../loopback.ts'

let studio: Studio
beforeAll(async () => {
  studio = await openStudio()
})
afterAll(async () => await studio[Symbol.asyncDispose]())

const hidden = 'what-nobody-may-read-here'

test.for(Object.entries(scripts))('%s named .mp4 reads no other file and reaches nobody', async ([name, script]) => {
  await using listener = await listening()
  const secret = await studio.write('secret.ts', hidden)
  const text = script(secret, `http://127.0.0.1:${listener.port}`)
  const found = await studio.examine(await studio.write(`${name.replaceAll(' ', '-')}.mp4`, text))
  expect(found).toMatchObject({ container: null, tracks: [], unplayable: true, truncated: { is: false } })
  expect(JSON.stringify(found)).not.toContain(hidden)
  expect(listener.visits()).toBe(0)
})

test.for(referenceKinds)('an MP4 whose data is in another file (%s) opens no other file, and says so', async (kind) => {
  const secret = await studio.write(
    'secret.mp4',
    await readFile(await studio.make('index-last.mp4', { layout: 'index-last' })),
  )
  const bytes = await externalMovie(studio, kind, secret)
  const found = await studio.examine(await studio.write('external.mp4', bytes))
  expect(found.notes.join()).toContain('names another file')
  expect(found).toMatchObject({ unplayable: true, truncated: { is: false } })
  // ffmpeg follows aliases when it is let, and would read all 75 pictures of the other file.
  if (kind === 'alias') expect(found.tracks.map(({ packets }) => packets)).toEqual([0, 0])
})

test.for<[string, Buffer | string]>([
  ['a text file named .mp4', 'Dear sir or madam, this is no film.\n'],
  ['a ZIP of zeros', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(1_000_000)])],
  ['nothing but zeros', Buffer.alloc(1_000_000)],
  ['an empty file', ''],
])('%s is kept as unplayable', async ([name, bytes]) => {
  const found = await studio.examine(await studio.write(`${name.replaceAll(' ', '-')}.mp4`, bytes))
  expect(found).toMatchObject({ container: null, mediaType: null, duration: null, tracks: [], unplayable: true })
  expect(found.notes).toHaveLength(1)
})

test.for([16_384, 16_000])('frames of %d pixels square are not decoded', async (size) => {
  const bytes = await hugeFrames(studio, size)
  const found = await studio.examine(await studio.write('huge.avi', bytes))
  expect(found).toMatchObject({ container: 'avi', unplayable: true, truncated: { is: false } })
  expect(found.notes.join()).toMatch(/frame is too large|no frame of a size/)
})

test('a file of 200 tracks ends nothing, and is kept', async () => {
  const bytes = await manyTracks(studio)
  const found = await studio.examine(await studio.write('many.mp4', bytes))
  expect(found).toMatchObject({ container: 'mp4', unplayable: true, truncated: { is: false } })
  expect(found.notes).toEqual(['it cannot be read: it has too many tracks'])
})

test('footage damaged at random always gets an examination', async () => {
  const sources = [await studio.make('index-last.mp4', { layout: 'index-last' }), await studio.make('h264.mkv')]
  for (const source of sources) {
    for (let round = 0; round < 4; round++) {
      const found = await studio.examine(await studio.write('damaged', await damaged(source, round)))
      expect(typeof found.unplayable).toBe('boolean')
    }
  }
})
