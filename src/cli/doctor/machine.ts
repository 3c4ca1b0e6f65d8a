import { stat, statfs } from 'node:fs/promises'
import { sql } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Config } from '../../engines/config.ts'
import { makeFfmpeg } from '../../engines/ffmpeg.ts'
import type { Log } from '../../engines/log.ts'
import { readKeyFile } from '../../engines/receipt-key.ts'
import { makeScratch } from '../../engines/scratch.ts'
import { readKeyOf } from '../../engines/signing-key.ts'
import { publishedKeys } from '../../ledger/keys/receipt-keys.ts'
import { inBytes } from '../words.ts'
import { broken, type Check, weak, well } from './check.ts'
import { withDatabase } from './engines.ts'

const ffmpegCheck = (config: Config, log: Log): Check => ({
  name: 'ffmpeg',
  look: async () => {
    const scratch = await makeScratch(config.SCRATCH_DIR)
    const { tier, version, sandboxTier } = await makeFfmpeg({ log, scratch })
    const says = `version ${version}; ${sandboxTier}`
    return tier === 'bubblewrap' ? well(says) : weak(says)
  },
})

const gib = 1024 ** 3

const diskCheck = (name: string, folder: string): Check => ({
  name,
  look: async () => {
    const { bavail, bsize, ffree, files } = await statfs(folder)
    const free = bavail * bsize
    const says = `${inBytes(free)} free at ${folder}`
    if (files > 0 && ffree < 1000) return broken(`${says}, and almost no file can be made any more (inodes)`)
    if (free < gib) return broken(`${says}, which is as good as full`)
    return free < 5 * gib ? weak(`${says}: make room soon`) : well(says)
  },
})

const muchSeconds = 2
const tooMuchSeconds = 60

/** Seconds by which our clock is ahead of the one that `theirs` tells, with half of the way there taken off. */
const ahead = async (theirs: () => Promise<number>): Promise<number> => {
  const began = Date.now()
  const told = await theirs()
  return ((began + Date.now()) / 2 - told) / 1000
}

const clockCheck = (config: Config, log: Log): Check => ({
  name: 'clock',
  look: async () => {
    const off = await withDatabase(config, log, async (db) => {
      // The first statement also makes the connection, which takes its time.
      await sql`select 1`.execute(db)
      return await ahead(async () => {
        const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(db)
        return rows[0]?.at.getTime() ?? Number.NaN
      })
    })
    const says = `${Math.abs(off).toFixed(2)} s ${off < 0 ? 'behind' : 'ahead of'} the database's`
    if (Math.abs(off) > tooMuchSeconds) return broken(`${says}: set one of them right (NTP)`)
    return Math.abs(off) > muchSeconds ? weak(`${says}: is NTP at work on both?`) : well(says)
  },
})

const keyCheck = (config: Config, log: Log): Check => ({
  name: 'receipt key',
  look: async () => {
    const file = config.RECEIPT_KEY_FILE
    const { kid } = await readKeyFile(file)
    const open = process.platform !== 'win32' && ((await stat(file)).mode & 0o077) !== 0
    if (open) return weak(`${kid}; other users of this machine may read its file: chmod 600 it`)
    const published = await withDatabase(config, log, publishedKeys).catch(() => undefined)
    const current = published?.find((key) => key.to === undefined)
    if (current === undefined) return weak(`${kid}, not published yet; the api does that when it starts`)
    const held = await readKeyOf(file, current.x).catch(() => undefined)
    if (held === undefined) return broken(`${kid} is not in force: receipts must be signed with ${current.kid}`)
    if (held.kid === kid) return well(`${kid}, published`)
    return weak(`${held.kid} is in force and not in its place yet: run \`exhibit keys rotate --use receipts\` again`)
  },
})

const Report = Type.Object({ status: Type.String() })

const apiCheck = (config: Config): Check => ({
  name: 'api',
  look: async () => {
    const address = `${config.PUBLIC_URL}/readyz`
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(10_000) })
      const report: unknown = await response.json()
      const status = Value.Check(Report, report) ? report.status : `status ${response.status}`
      return status === 'ready' ? well(`ready at ${config.PUBLIC_URL}`) : weak(`${status}: see ${address}`)
    } catch {
      return weak(`does not answer at ${config.PUBLIC_URL} (PUBLIC_URL), as seen from here`)
    }
  },
})

/** `dataDir`: of the embedded engines, if these are meant. */
export const machineChecks = (config: Config, log: Log, dataDir: string | undefined): Check[] => [
  ffmpegCheck(config, log),
  diskCheck('disk for working files', config.SCRATCH_DIR),
  ...(dataDir === undefined ? [] : [diskCheck('disk of the data', dataDir)]),
  clockCheck(config, log),
  keyCheck(config, log),
  apiCheck(config),
]
