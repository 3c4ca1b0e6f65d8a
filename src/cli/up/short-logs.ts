import { copyFileSync, readdirSync, statSync, truncateSync } from 'node:fs'
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
      try {
        if (statSync(file).size < longest) continue
        copyFileSync(file, `${file}.old`)
        truncateSync(file)
      } catch {
        // On a full disk nothing can be kept; the next time will do.
      }
    }
  }
  const timer = setInterval(shorten, everyMs).unref()
  return { stop: () => clearInterval(timer) }
}
