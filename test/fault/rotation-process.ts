import { systemClock } from '../../src/engines/clock.ts'
import { readConfig } from '../../src/engines/config.ts'
import { makeLog } from '../../src/engines/log.ts'
import { connect } from '../../src/engines/postgres.ts'
import { makeStore } from '../../src/engines/store.ts'
import { rotateReceiptKey } from '../../src/ledger/keys/key-rotation.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'

/** A rotation in a process of its own that is killed, as by kill -9, when it has reached the step named. */
const [use, wanted] = process.argv.slice(2)
const config = readConfig(process.env)
const log = makeLog(config.LOG_LEVEL, 'keys')
const engines = {
  clock: systemClock,
  config,
  log,
  db: connect(config.DATABASE_OWNER_URL ?? '', 4, log),
  store: makeStore(config),
}
const reached = (step: string) => {
  if (step === wanted) process.kill(process.pid, 'SIGKILL')
}
await (use === 'log' ? rotateLogKey : rotateReceiptKey)(engines, { reached })
