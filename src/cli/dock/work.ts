import type { Found } from './folder.ts'
import { announce, announceAgain, type Item } from './manifest.ts'
import type { Dock } from './open-dock.ts'
import type { Outcome } from './outcome.ts'
import { type Prepared, prepare } from './prepare.ts'
import { isFinal } from './retry.ts'
import { failed, settle } from './settle.ts'
import { readSidecar } from './sidecar.ts'

/** Files with the same bytes are one recording: one is sent, and the others then find it in custody. */
const settleTwins = async (
  dock: Dock,
  twins: { file: Prepared; item: Item }[],
  done: (outcome: Outcome) => void,
): Promise<void> => {
  let first = true
  for (const { file, item } of twins) {
    try {
      done(await settle(dock, file, first ? item : await announceAgain(dock, file)))
    } catch (error) {
      if (isFinal(error)) dock.halt(error)
      done({ name: file.name, size: file.size, sha256: file.sha256, ...failed(dock, error) })
    }
    first = false
  }
}

/**
 * Takes files through all of it: digest, manifest, upload, receipt, and wiping when that is wanted. Each outcome is told as
 * it comes. Throws when nothing could be announced, or when the dock itself is refused.
 */
export const work = async (dock: Dock, found: Found[]): Promise<Outcome[]> => {
  const outcomes: Outcome[] = []
  const done = (outcome: Outcome): void => {
    outcomes.push(outcome)
    dock.tell({ type: 'outcome', outcome })
  }
  const sidecar = await readSidecar(dock.options.folder)
  const prepareOne = async (file: Found): Promise<Prepared[]> => {
    try {
      return [await dock.hashing(async () => await prepare(dock, file, sidecar.get(file.name) ?? {}))]
    } catch (error) {
      done({ name: file.name, size: file.size, ...failed(dock, error) })
      return []
    }
  }
  const prepared = (await Promise.all(found.map(prepareOne))).flat()
  await dock.memory.save()
  if (prepared.length > 0) {
    const answered = await announce(dock, prepared).catch((error: unknown) => {
      if (!dock.signal.aborted) throw error
      for (const { name, size, sha256 } of prepared) done({ name, size, sha256, ...failed(dock, error) })
      return []
    })
    dock.tell({
      type: 'announced',
      files: answered.map(({ file: { name, size }, item: { state } }) => ({ name, size, state })),
    })
    const twins = Map.groupBy(answered, ({ file: { size, declared } }) => `${size} ${declared}`)
    await Promise.all([...twins.values()].map(async (each) => await settleTwins(dock, each, done)))
    await dock.memory.save()
  }
  const halted = dock.halted()
  if (halted !== undefined) throw halted
  return outcomes
}
