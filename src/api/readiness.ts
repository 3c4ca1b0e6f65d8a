import { setTimeout as delay } from 'node:timers/promises'
import { promisesInWords } from '../engines/enforced.ts'
import type { Engines } from '../engines/engines.ts'
import { databaseAnswers } from '../engines/postgres.ts'
import { lookAtMonths, monthsInWords } from '../ledger/entries/partitions.ts'
import { logInWords, lookAtLog } from '../ledger/log/standing.ts'
import type { IssuerKeys } from '../people/issuer.ts'
import { lookAtPurges, purgesInWords } from '../retention/standing.ts'

/** What answers and still wants somebody to look; its message is told. */
class Alarm extends Error {}

/** What this process depends on, by name: each answers in words, or throws. */
export type Readiness = Record<string, () => Promise<string>>

/** Without these nothing can be acknowledged. The others may be away for a while: work goes on, and is caught up with. */
const needed = new Set(['database', 'store'])

const patienceMs = 3000
/** Anyone may ask, so the answer is kept for a moment. */
const freshMs = 1000
const learningMs = 1000

export type Report = {
  status: 'ready' | 'degraded' | 'unavailable'
  dependencies: Record<string, { ok: boolean; says: string }>
}

const ask = async (check: () => Promise<string>): Promise<{ ok: boolean; says: string }> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('no answer in time')), patienceMs)
  try {
    return { ok: true, says: await Promise.race([check(), late.promise]) }
  } catch (error) {
    return { ok: false, says: error instanceof Alarm ? error.message : 'does not answer' }
  } finally {
    clearTimeout(timer)
  }
}

const examine = async (checks: Readiness): Promise<Report> => {
  const answers = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await ask(check)] as const),
  )
  const failing = answers.filter(([, answer]) => !answer.ok)
  const status =
    failing.length === 0 ? 'ready' : failing.some(([name]) => needed.has(name)) ? 'unavailable' : 'degraded'
  return { status, dependencies: Object.fromEntries(answers) }
}

/** Asks all at once. Callers within a second share one answer. */
export const makeReadiness = (checks: Readiness): (() => Promise<Report>) => {
  let latest: Promise<Report> | undefined
  let askedAt = 0
  return async () => {
    if (latest === undefined || performance.now() - askedAt > freshMs) {
      askedAt = performance.now()
      latest = examine(checks)
    }
    return await latest
  }
}

/** In words; `undefined` while it is not known. Whoever asks does not wait long. */
const enforcedInWords = async ({ enforced }: Pick<Engines, 'enforced'>): Promise<string | undefined> => {
  const late = delay(learningMs, undefined, { ref: false })
  const promises = await Promise.race([enforced.learn(), late])
  return promises === undefined ? undefined : promisesInWords(promises)
}

type Depended = Pick<Engines, 'db' | 'store' | 'enforced' | 'ffmpeg' | 'clock' | 'config' | 'metrics'>

export const standardChecks = (engines: Depended, keys: IssuerKeys): Readiness => {
  return {
    database: async () => {
      await databaseAnswers(engines.db)
      return 'answers'
    },
    store: async () => {
      await engines.store.answers()
      return (await enforcedInWords(engines)) ?? 'answers; what it enforces is not known yet'
    },
    issuer: async () => {
      await keys.answers()
      return 'answers'
    },
    sandbox: async () => engines.ffmpeg.sandboxTier,
    ledger: async () => {
      const { clock, config } = engines
      const { alarm, says } = logInWords(await lookAtLog(engines), clock.now(), config.LEDGER_INTERVAL_SECONDS)
      if (alarm) throw new Alarm(says)
      return says
    },
    partitions: async () => {
      const { alarm, says } = monthsInWords(await lookAtMonths(engines))
      if (alarm) throw new Alarm(says)
      return says
    },
    purges: async () => {
      const { alarm, says } = purgesInWords(await lookAtPurges(engines))
      if (alarm) throw new Alarm(says)
      return says
    },
  }
}
