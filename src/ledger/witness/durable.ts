import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Waits until a file, or what a folder lists, would survive a power cut. */
export const settle = async (path: string): Promise<void> => {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What a killed writer may leave; never read. */
export const unfinished = '.new'

/**
 * Replaces a file, for its owner only: it is the old one or the whole new one at every moment, and the new one for good when
 * this resolves. Two writers of one file have to take turns.
 */
export const replace = async (file: string, text: string): Promise<void> => {
  const aside = `${file}${unfinished}`
  const handle = await open(aside, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(aside, file)
  await settle(dirname(file))
}
