// `npm test [-- what `vitest run` takes]`: runs the tests, with `--long` also those that take minutes or an hour, and ends with
// one line, `N passed, N failed`. Fails when a test failed, when a file could not be loaded, when an error came from outside of
// the tests, and when no test was seen.
import path from 'node:path'
import { createVitest, parseCLI, type TestModule } from 'vitest/node'

const passedIn = (module: TestModule) => [...module.children.allTests('passed')].length

/** A file that failed without a failed test (it did not load, or a hook threw) counts as one. */
const failedIn = (module: TestModule) =>
  [...module.children.allTests('failed')].length || (module.state() === 'failed' ? 1 : 0)

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

const args = process.argv.slice(2)
if (args.includes('--long')) process.env.TEST_LONG = '1'
// Hundreds of processes are started: each program is compiled once.
process.env.NODE_COMPILE_CACHE ??= path.join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled')
const { filter, options } = parseCLI(['vitest', 'run', ...args.filter((arg) => arg !== '--long')])
const vitest = await createVitest('test', { ...options, watch: false })

// The first signal ends the run in order, so that the engines are stopped; the second does not wait for that. Vitest's own
// listener would end the process at once.
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.removeAllListeners(signal)
  process.on(signal, async () => {
    if (interrupted) process.exit(130)
    interrupted = true
    console.error(`${signal}: stopping the tests`)
    await vitest.cancelCurrentRun('keyboard-input')
  })
}

let passed = 0
let failed = 0
try {
  const { testModules, unhandledErrors } = await vitest.start(filter)
  passed = sum(testModules.map(passedIn))
  failed = sum(testModules.map(failedIn)) + unhandledErrors.length
  if (passed + failed === 0) console.error('No test was seen.')
} catch (error) {
  console.error(error) // no file matched, or the engines did not start
}
await vitest.close()

// Whatever ended the run without a test that passed is a failure.
if (passed === 0 && failed === 0) failed = 1
console.log(`${passed} passed, ${failed} failed`)
process.exit(interrupted ? 130 : failed === 0 ? 0 : 1)
