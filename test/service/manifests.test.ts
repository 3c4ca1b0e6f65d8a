import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CameraSerial } from '../../src/base/ids.ts'
import { takeManifest } from '../../src/custody/manifest.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, digestOf } from '../footsteps.ts'

let engines: TestEngines
beforeAll(async () => {
  engines = await testEngines()
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const camera = 'CAM-1' as CameraSerial
const filesOf = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    name: `${at}.mp4`,
    size: at,
    sha256: digestOf(randomBytes(8)),
    recordedAt: new Date('2026-11-20T08:00:00Z'),
    number: null,
    sequence: null,
  }))

test('two docks that announce the files of one camera at once, in opposite orders, are both answered', async () => {
  const files = filesOf(3000)
  // The camera is known, so that nothing but the files themselves puts the manifests in order.
  await takeManifest(engines, await aDock(engines), { camera, files: filesOf(1) })
  const docks = await Promise.all([1, 2, 3, 4].map(async () => await aDock(engines)))
  const answers = await Promise.all(
    docks.map(
      async (dock, at) =>
        await takeManifest(engines, dock, { camera, files: at % 2 === 0 ? files : files.toReversed() }),
    ),
  )
  for (const states of answers) expect(new Set(states.map(({ state }) => state))).toEqual(new Set(['owed']))
})
