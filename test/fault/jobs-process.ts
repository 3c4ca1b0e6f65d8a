import { readConfig } from '../../src/engines/config.ts'
import { makeEngines } from '../../src/engines/engines.ts'
import { makeLog } from '../../src/engines/log.ts'
import { startWorker } from '../../workers/worker.ts'
import { handlersWith } from '../handlers.ts'

/** A worker in a process of its own, to be killed: its work gets halfway and stays there until it is told to stop. */
const config = readConfig(process.env)
const engines = await makeEngines(config, makeLog(config.LOG_LEVEL, 'worker'))
const worker = await startWorker(
  engines,
  handlersWith(async (_engines, _payload, { progress, signal }) => {
    progress(0.5)
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    )
    return { outcome: 'done' }
  }),
)
process.once('SIGTERM', () => {
  void worker.stop().then(() => process.exit(0))
})
