import { look } from './folder.ts'
import { type DockOptions, openDock } from './open-dock.ts'
import type { FileState, Summary } from './outcome.ts'
import { work } from './work.ts'

const done: FileState[] = ['held', 'wiped']
const doneWithoutWaiting: FileState[] = [...done, 'sent', 'verifying']

/**
 * Brings every file of a folder into custody, once. A file's failure is its outcome in the summary; what concerns all of
 * them is thrown (Failure, Refusal, ConnectionBroken). After `signal` the summary tells how far it came.
 */
export const uploadFolder = async (options: DockOptions): Promise<Summary> => {
  const began = performance.now()
  const dock = await openDock(options)
  try {
    const { files, passedOver } = await look(options.folder)
    if (passedOver.length > 0) {
      dock.tell({
        type: 'note',
        text: `Passed over, since a link or special file is no footage: ${passedOver.join(', ')}`,
      })
    }
    dock.memory.keepOnly(files.map(({ name }) => name))
    const outcomes = await work(dock, files)
    const good = options.wait === false ? doneWithoutWaiting : done
    return {
      camera: options.camera,
      files: outcomes,
      bytesSent: dock.bytesSent,
      seconds: (performance.now() - began) / 1000,
      ok: outcomes.every(({ state }) => good.includes(state)),
    }
  } finally {
    await dock.close()
  }
}
