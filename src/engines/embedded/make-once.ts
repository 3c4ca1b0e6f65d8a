import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** What a killed maker left. It may still be dying and writing, so what resists is left to a later start. */
const sweep = (target: string): void => {
  for (const name of readdirSync(dirname(target))) {
    if (!name.startsWith(`${basename(target)}.new-`)) continue
    try {
      rmSync(join(dirname(target), name), { recursive: true, force: true })
    } catch {}
  }
}

/**
 * Makes a folder unless it is there. `make` fills an empty folder of another name beside it, which is renamed at the end:
 * the target is absent or whole, however often its maker was killed.
 */
export const makeOnce = async (target: string, make: (aside: string) => Promise<void>): Promise<void> => {
  if (existsSync(target)) return
  sweep(target)
  const aside = `${target}.new-${randomBytes(4).toString('hex')}`
  mkdirSync(aside, { mode: 0o700 })
  await make(aside)
  renameSync(aside, target)
}
