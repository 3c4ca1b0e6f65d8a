import { type Static, Type } from 'typebox'
import { Digest } from '../../base/ids.ts'
import { Failure } from '../failure.ts'
import { jsonBody, readAs } from './installation.ts'
import type { Dock } from './open-dock.ts'
import type { Prepared } from './prepare.ts'

/** What the installation says of a file (`POST /docks/manifests`). */
const Item = Type.Object({
  name: Type.String(),
  sha256: Digest,
  state: Type.String(),
  uploadUrl: Type.Optional(Type.String()),
  recordingId: Type.Optional(Type.String()),
  receiptUrl: Type.Optional(Type.String()),
})
const Answer = Type.Object({ items: Type.Array(Item) })
export type Item = Static<typeof Item>

const filesAtOnce = 1000

const send = async (dock: Dock, files: Prepared[]): Promise<Item[]> => {
  const { camera } = dock.options
  const clock = dock.clock()
  const manifest = {
    camera,
    ...(clock === undefined ? {} : { clock: { camera: clock.camera.toISOString(), dock: clock.dock.toISOString() } }),
    files: files.map(({ name, size, declared, recordedAt, known: { number, sequence } }) => ({
      name,
      size,
      sha256: declared,
      recordedAt,
      ...(number === undefined ? {} : { number }),
      ...(sequence === undefined ? {} : { sequence }),
    })),
  }
  const { signal } = dock
  const answer = await dock.installation.call({ method: 'POST', to: '/docks/manifests', ...jsonBody(manifest), signal })
  // This very call may have shown that our clock is wrong; then what we said of both clocks is too.
  if (clock !== undefined && dock.clock()?.dock.getTime() !== clock.dock.getTime()) return await send(dock, files)
  return readAs(Answer, answer).items
}

/** Tells the installation what the camera holds, and learns what is owed of it. Answers in the order of `files`. */
export const announce = async (dock: Dock, files: Prepared[]): Promise<{ file: Prepared; item: Item }[]> => {
  const answered: { file: Prepared; item: Item }[] = []
  for (let from = 0; from < files.length; from += filesAtOnce) {
    const some = files.slice(from, from + filesAtOnce)
    const items = await dock.untilDone(async () => await send(dock, some))
    for (const file of some) {
      const item = items.find(({ name, sha256 }) => name === file.name && sha256 === file.declared)
      if (item === undefined) throw new Failure(`The installation did not answer for ${file.name}.`)
      answered.push({ file, item })
    }
  }
  return answered
}

/** The same for one file, when what was known of it has changed. */
export const announceAgain = async (dock: Dock, file: Prepared): Promise<Item> => {
  const [answer] = await announce(dock, [file])
  if (answer === undefined) throw new Failure('The installation did not answer.')
  return answer.item
}
