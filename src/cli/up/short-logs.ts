import { copyFileSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

const longest = 64 * 1024 * 1024
const everyMs = 60_000

/**
 * Keeps the logs of an installation that is up for months from filling its disk: one that has grown to 64 MiB goes on from
 * empty, and what it held becomes `<name>.old`. Their writers append, so they need not know.
 */
export const keepLogsShort = (folder: string): { stop(): void } => {
  const shorten = () => {
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.log'))) {
      const file = join(folder, name)
      if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < longest) continue
      try {
        copyFileSync(file, `${file}.old`)
      } catch {
        // A full disk is worse than a lost log.
        rmSync(`${file}.old`, { force: true })
      }
      truncateSync(file)
    }
  }
  const timer = setInterval(shorten, everyMs).unref()
  return { stop: () => clearInterval(timer) }
}
