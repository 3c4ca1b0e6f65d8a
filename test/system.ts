import { handlers } from '../workers/handlers.ts'
import { startWorker } from '../workers/worker.ts'
import { startTestApi, type TestApi } from './api.ts'
import type { TestOptions } from './engines.ts'

/** The api and a worker in this process, on real servers: the whole system. */
export const startTestSystem = async (options: TestOptions = {}): Promise<TestApi> => {
  const api = await startTestApi(options)
  const worker = await startWorker(api.engines, handlers)
  return {
    ...api,
    [Symbol.asyncDispose]: async () => {
      await worker.stop()
      await api[Symbol.asyncDispose]()
    },
  }
}

/** Asks again until the answer is there; throws what the last attempt said after `seconds`. */
export const eventually = async <T>(what: string, ask: () => Promise<T | undefined>, seconds = 30): Promise<T> => {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > end) throw new Error(`${what} did not happen within ${seconds} s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
