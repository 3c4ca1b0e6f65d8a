import { Command } from 'commander'
import { freePort } from '../engines/embedded/ports.ts'
import { Failure } from './failure.ts'
import { onNpmEnd } from './up/npm.ts'
import { type Installation, startInstallation } from './up/start.ts'
import { defaultDataDir } from './up/whereabouts.ts'

type Options = { data: string; port: number; disk?: number; json?: true }

const readPort = (text: string): number => {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return port
  throw new Failure(`${text} is not a port: name one from 1 to 65535, or 0 for any free one.`)
}

const readGiB = (text: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new Failure(`${text} is not a number of GiB.`)
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/** Resolves at the first signal that asks to stop, or when npm was; a second Ctrl-C does not wait. */
const whenAsked = (): { asked: Promise<void>; signal: AbortSignal } => {
  const controller = new AbortController()
  const { signal } = controller
  const asked = new Promise<void>((resolve) => {
    const stop = () => {
      if (signal.aborted) return
      say('Stopping: the api and the worker first, then the engines')
      controller.abort(new Failure('It was stopped before it was up.'))
      resolve()
    }
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (signal.aborted && name === 'SIGINT') process.exit(130)
        stop()
      })
    }
    onNpmEnd(stop)
  })
  return { asked, signal }
}

const inWords = ({ url, dataDir, issuer }: Installation): string => {
  const folder = dataDir === defaultDataDir ? '' : ` --data ${dataDir}`
  return [
    '',
    `  Exhibit is up at        ${url}`,
    `  The API, to read        ${url}/api/docs`,
    `  How it is               ${url}/readyz`,
    `  People sign in at       ${issuer} (anyone, without a password: for trials only)`,
    `  A token for the API     npm run exhibit -- token --as investigator${folder}`,
    `  Data, logs and keys     ${dataDir}`,
    '',
    '  Ctrl-C stops it.',
  ].join('\n')
}

export const upCommand = (): Command =>
  new Command('up')
    .description('Run the whole stack on this machine, in the foreground: engines, api and worker')
    .option('--data <folder>', 'where everything is kept', defaultDataDir)
    .option('--port <port>', 'of the api, on 127.0.0.1; 0: any free one', readPort, 8080)
    .option('--disk <GiB>', 'how large the store of footage may grow; counts at the first start', readGiB)
    .option('--json', 'first line of output, when ready: {"url", "dataDir"}')
    .addHelpText(
      'after',
      '\nLimits, times and LOG_LEVEL are taken from the environment (.env.example), addresses are not.',
    )
    .action(async ({ data, port, disk, json }: Options) => {
      // The terminal may be gone before we are.
      process.stderr.on('error', () => undefined)
      const { asked, signal } = whenAsked()
      const installation = await startInstallation({
        dataDir: data,
        port: port || (await freePort()),
        log: say,
        env: process.env,
        diskGiB: disk,
        signal,
      })
      const { url, dataDir } = installation
      console.log(json ? JSON.stringify({ url, dataDir }) : inWords(installation))
      await asked
      await installation.stop()
      say('Stopped.')
    })
