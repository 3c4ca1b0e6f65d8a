import { rm } from 'node:fs/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { IdOf } from '../src/base/ids.ts'
import { readBack } from '../src/custody/read-back.ts'
import { readConfig } from '../src/engines/config.ts'
import { makeStore } from '../src/engines/store.ts'

/** The worker's read-back in a process of its own, as a worker runs it. */

const Reading = Type.Object({
  recording: IdOf.recording,
  version: Type.String(),
  size: Type.Integer(),
  copyTo: Type.Optional(Type.String()),
})

const store = makeStore(readConfig(process.env))

const perform = async (wanted: Type.Static<typeof Reading>) => {
  const { signal } = new AbortController()
  const began = performance.now()
  const read = await readBack(store, { ...wanted, signal, progress: () => undefined })
  const seconds = (performance.now() - began) / 1000
  if (wanted.copyTo !== undefined) await rm(wanted.copyTo)
  return { seconds, sha256: read?.sha256 ?? 'nothing' }
}

process.on('message', (wanted) => {
  if (!Value.Check(Reading, wanted)) throw new TypeError('this is nothing to read')
  perform(wanted).then(
    (done) => process.send?.(done),
    () => process.exit(1),
  )
})
process.on('disconnect', () => process.exit(0))
