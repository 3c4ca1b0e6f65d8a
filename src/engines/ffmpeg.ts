import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import fluent from 'fluent-ffmpeg'
import {
  type FfmpegWork,
  globalWords,
  inputWords,
  outputWords,
  probeWords,
  type ReadingLimits,
} from './ffmpeg-arguments.ts'
import { blameFor, type Ending, FfmpegFailed, makeTail } from './ffmpeg-failed.ts'
import type { Log } from './log.ts'
import { cageWords, type SandboxTier, tierInWords, tiers } from './sandbox.ts'
import type { Scratch, ScratchFolder } from './scratch.ts'

export type FfmpegLimits = ReadingLimits & {
  /** Bytes of memory one process may claim. */
  addressSpace: number
  /** Bytes of each file it may write. */
  outputBytes: number
  openFiles: number
  /** How long ffprobe may take unless the caller says otherwise. */
  probeSeconds: number
  /** Bytes of ffprobe's answer. */
  answerBytes: number
}

const mebibyte = 1024 * 1024

const defaults: FfmpegLimits = {
  // A frame of 8K, 8192 × 4320.
  maxPixels: 35_389_440,
  maxStreams: 16,
  addressSpace: 4096 * mebibyte,
  outputBytes: 65_536 * mebibyte,
  openFiles: 64,
  probeSeconds: 20,
  answerBytes: 8 * mebibyte,
}

type ProbeOptions = { signal: AbortSignal; seconds?: number; ask?: string[] }
type RunOptions = { signal: AbortSignal; seconds: number; onProgress?: (secondsMade: number) => void }

/** ffmpeg and ffprobe, caged. Both throw FfmpegFailed, or the signal's reason once it aborts and the process is dead. */
export type Ffmpeg = {
  version: string
  tier: SandboxTier
  /** What confines ffmpeg on this machine, as a sentence. */
  sandboxTier: string
  limits: FfmpegLimits
  /** ffprobe's JSON about one file in a scratch folder of its own; hostile until validated. */
  probe(file: string, demuxer: string, options: ProbeOptions): Promise<unknown>
  /** Runs ffmpeg and gives the last 2,000 lines it wrote to its standard output. */
  run(work: FfmpegWork, options: RunOptions): Promise<string>
}

/** Replaces itself by what follows on its command line, after clearing the environment. */
const launcher = '/usr/bin/env'

/** About 25 days. A timer that is told more is over after a millisecond. */
const longestMs = 2 ** 31 - 1

/** Aborts when the caller does, or when the time is over. */
const deadline = (signal: AbortSignal, seconds: number) => {
  const time = AbortSignal.timeout(Math.min(longestMs, Math.ceil(seconds * 1000)))
  return { stop: AbortSignal.any([signal, time]), isOver: () => time.aborted }
}

const failure = (program: string, ending: Ending, detail: string, timeIsOver: boolean): FfmpegFailed =>
  timeIsOver
    ? new FfmpegFailed(`${program} took too long`, 'time', detail)
    : new FfmpegFailed(`${program} failed`, blameFor(ending, detail), detail)

/** Runs one program of ours to its end and gives what it wrote, unless that was more than `most` bytes. */
const listen = async (words: string[], most: number, seconds: number, signal: AbortSignal): Promise<Buffer> => {
  signal.throwIfAborted()
  const { stop, isOver } = deadline(signal, seconds)
  const child = spawn(launcher, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => child.kill('SIGKILL')
  stop.addEventListener('abort', kill, { once: true })

  const tail = makeTail()
  const said: Buffer[] = []
  let bytes = 0
  child.stderr.setEncoding('utf8').on('data', (text: string) => tail.add(text))
  child.stdout.on('data', (piece: Buffer) => {
    bytes += piece.length
    if (bytes <= most) said.push(piece)
    else kill()
  })
  try {
    const [code, ended] = await once(child, 'close')
    signal.throwIfAborted()
    if (bytes > most) throw new FfmpegFailed('ffprobe said too much', 'content', tail.get())
    if (code !== 0) throw failure('ffprobe', { code, signal: ended }, tail.get(), isOver())
    return Buffer.concat(said)
  } catch (error) {
    if (error instanceof FfmpegFailed || signal.aborted) throw error
    throw new FfmpegFailed('ffprobe could not be started', 'machine', String(error))
  } finally {
    stop.removeEventListener('abort', kill)
  }
}

const silence = { get: () => '' }

/**
 * fluent-ffmpeg starts ffmpeg (and asks it for its formats and encoders) in one place; here the cage is put around that
 * place. The library also calls back without its rings when a process cannot be started, and then trips over that.
 */
const caged = (command: ReturnType<typeof fluent>, cage: string[]) => {
  const spawnFfmpeg = command._spawnFfmpeg
  command._spawnFfmpeg = (words, options, ...told) => {
    const withRings = told.map(
      (tell): typeof tell =>
        (what, stdout = silence, stderr = silence) =>
          tell(what, stdout, stderr),
    )
    try {
      spawnFfmpeg.call(command, [...cage, 'ffmpeg', ...words], options, ...withRings)
    } catch (error) {
      withRings.at(-1)?.(error instanceof Error ? error : new Error(String(error)))
    }
  }
  return command
}

/** The library tells how ffmpeg ended only in the words of its error. */
const endingOf = (error: Error): Ending => {
  const [, code, signal] = /^ffmpeg (?:exited with code (\d+)|was killed with signal (\w+))/.exec(error.message) ?? []
  // Neither: it was never started.
  return { code: code === undefined && signal === undefined ? 127 : Number(code), signal: signal ?? null }
}

const transcode = async (work: FfmpegWork, cage: string[], limits: FfmpegLimits, options: RunOptions) => {
  const { signal, seconds, onProgress } = options
  signal.throwIfAborted()
  const command = caged(fluent({ cwd: work.folder, stdoutLines: 2000 }), cage)
  for (const [index, input] of work.inputs.entries()) {
    const { options: words, from } = inputWords(work.folder, input, limits)
    command.input(from).inputOptions(...(index === 0 ? globalWords(onProgress !== undefined) : []), ...words)
  }
  for (const output of work.outputs) {
    const { options: words, to } = outputWords(work.folder, output)
    command.output(to).outputOptions(...words)
  }

  const { stop, isOver } = deadline(signal, seconds)
  const kill = () => command.kill('SIGKILL')
  stop.addEventListener('abort', kill, { once: true })
  const tail = makeTail()
  try {
    return await new Promise<string>((resolve, reject) => {
      command
        .on('start', () => stop.aborted && kill())
        .on('stderr', (line: string) => {
          const [, microseconds] = /^out_time_us=(\d{1,15})$/.exec(line) ?? []
          if (microseconds !== undefined) onProgress?.(Number(microseconds) / 1e6)
          else if (!/^[a-z0-9_]+=/.test(line)) tail.add(`${line}\n`)
        })
        .on('end', (stdout: string) => resolve(stdout))
        .on('error', (error: Error) => {
          const ending = endingOf(error)
          reject(failure('ffmpeg', ending, tail.get() || error.message, isOver()))
        })
      command.run()
    })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    stop.removeEventListener('abort', kill)
  }
}

/** ffmpeg and ffprobe in a cage of this tier, which may turn out not to hold on this machine. */
const inTier = (tier: SandboxTier, limits: FfmpegLimits): Pick<Ffmpeg, 'probe' | 'run'> => {
  const cage = (folder: string, writable: boolean, seconds: number) => {
    const { addressSpace, openFiles } = limits
    const cpuSeconds = Math.ceil(seconds * availableParallelism())
    const outputBytes = writable ? limits.outputBytes : 0
    const allowance = { addressSpace, openFiles, cpuSeconds, outputBytes }
    return cageWords(tier, { folder, writable, allowance }, process.env.PATH ?? '/usr/bin:/bin')
  }
  return {
    probe: async (file, demuxer, options) => {
      const { signal, seconds = limits.probeSeconds, ask = ['-show_format', '-show_streams'] } = options
      const words = [...cage(path.dirname(file), false, seconds), 'ffprobe', ...probeWords(file, demuxer, ask, limits)]
      const answer = await listen(words, limits.answerBytes, seconds, signal)
      try {
        const json: unknown = JSON.parse(answer.toString('utf8'))
        return json
      } catch {
        throw new FfmpegFailed('ffprobe gave no JSON', 'content', '')
      }
    },
    run: async (work, options) => await transcode(work, cage(work.folder, true, options.seconds), limits, options),
  }
}

/** A tenth of a second of silence: 44 bytes of header, then 1,600 of samples. */
const trialSound = (): Buffer => {
  const wav = Buffer.alloc(1644)
  wav.write(
    'RIFF\x64\x06\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x40\x06\0\0',
    'latin1',
  )
  return wav
}

/** Reads and writes a file in the cage, the whole way. Gives ffmpeg's version. */
const tryOut = async ({ probe, run }: Pick<Ffmpeg, 'probe' | 'run'>, trial: ScratchFolder): Promise<string> => {
  const signal = AbortSignal.timeout(20_000)
  const sound = trial.path('trial.wav')
  await writeFile(sound, trialSound())
  const answer = await probe(sound, 'wav', { signal, ask: ['-show_program_version'] })
  const inputs = [{ path: sound, demuxer: 'wav' }]
  const outputs = [{ path: trial.path('copy.wav'), options: ['-c', 'copy', '-f', 'wav'] }]
  await run({ folder: trial.folder, inputs, outputs }, { signal, seconds: 10 })
  const version = /"version": ?"([^"]{1,80})"/.exec(JSON.stringify(answer))
  return version?.[1] ?? 'unknown'
}

/**
 * The one place where ffmpeg and ffprobe run. Finds the best cage this machine can build by working in it once; throws
 * when ffmpeg does not run in any.
 */
export const makeFfmpeg = async (needs: {
  log: Log
  scratch: Scratch
  limits?: Partial<FfmpegLimits>
}): Promise<Ffmpeg> => {
  const limits = { ...defaults, ...needs.limits }
  fluent.setFfmpegPath(launcher)
  let last: unknown
  for (const tier of tiers) {
    if (tier === 'own-network-and-user' && process.getuid?.() !== 0) continue
    await using trial = await needs.scratch('ffmpeg-trial')
    const tools = inTier(tier, limits)
    try {
      const version = await tryOut(tools, trial)
      const level = tier === 'bubblewrap' ? 'info' : 'warn'
      needs.log[level]({ tier, version }, tierInWords[tier])
      return { ...tools, version, tier, sandboxTier: tierInWords[tier], limits }
    } catch (error) {
      last = error
    }
  }
  throw new Error('ffmpeg and ffprobe do not run here. Install the package ffmpeg.', { cause: last })
}
