import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { pino } from 'pino'
import { freePort } from '../engines/embedded/ports.ts'
import { makeFfmpeg } from '../engines/ffmpeg.ts'
import { makeScratch } from '../engines/scratch.ts'
import { type Docked, dockFolder, makeShift } from './demo/shift.ts'
import { tellStory } from './demo/story.ts'
import { makeTeller, type Teller } from './demo/teller.ts'
import { Failure } from './failure.ts'
import { onNpmEnd } from './up/npm.ts'
import { type Installation, startInstallation } from './up/start.ts'

const footage = async (
  source: string | undefined,
  folder: string,
  tell: Teller,
  signal: AbortSignal,
): Promise<Docked[]> => {
  const bays = path.join(folder, 'cameras')
  if (source !== undefined) return await dockFolder(source, bays, tell.line)
  const scratch = await makeScratch(path.join(folder, 'scratch'))
  const ffmpeg = await makeFfmpeg({ log: pino({ level: 'silent' }), scratch })
  return await makeShift({ ffmpeg, scratch }, bays, tell.line, signal)
}

const goodbye = ({ url }: Installation): string[] => [
  '',
  `   The API, to read and try   ${url}/api/docs`,
  `   Its description            ${url}/api/openapi.json`,
  `   How it is                  ${url}/readyz`,
  `   The keys of the receipts   ${url}/api/v1/ledger/keys`,
  '',
]

const interrupted = (): AbortSignal => {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130)
      controller.abort(new Failure('The demo was stopped.'))
    })
  }
  onNpmEnd(() => controller.abort(new Failure('The demo was stopped.')))
  return controller.signal
}

export const demoCommand = (): Command =>
  new Command('demo')
    .description('Show footage travel from a docking station into custody and back, on a throw-away installation')
    .argument('[folder]', 'your own videos; without it, footage of a shift is made')
    .option('--exit', 'end after the checks, a browser at the player among them, instead of staying up until Ctrl-C')
    .option(
      '--still <file>',
      'where that browser leaves a still of the player; by default in the data folder, and gone with it',
    )
    .action(async (source: string | undefined, { exit, still }: { exit?: true; still?: string }) => {
      const signal = interrupted()
      const say = (line: string) => console.log(line)
      const tell = makeTeller(say)
      const folder = await mkdtemp(path.join(tmpdir(), 'exhibit-demo-'))
      let installation: Installation | undefined
      try {
        tell.step(
          'Real Postgres, Redis, S3 and an OpenID provider start on loopback; with them one api and one worker.',
        )
        const dataDir = path.join(folder, 'data')
        installation = await startInstallation({
          dataDir,
          port: await freePort(),
          log: tell.line,
          env: {},
          diskGiB: 12,
          signal,
        })
        tell.step('Two cameras come back from a shift.')
        const docked = await footage(source, folder, tell, signal)
        const picture = exit === undefined ? undefined : (still ?? path.join(dataDir, 'player.png'))
        await tellStory({ installation, docked, folder, tell, signal, still: picture })
        const failed = tell.failed()
        if (failed.length > 0) throw new Failure(`The demo found what must not be: ${failed.join('; ')}.`)
        say('\nEverything held.')
        for (const line of goodbye(installation)) say(line)
        if (exit === undefined) {
          say('   It stays up until Ctrl-C; then all of it is deleted.')
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        }
      } finally {
        await installation?.stop()
        await rm(folder, { recursive: true, force: true })
      }
    })
