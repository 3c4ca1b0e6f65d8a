/** The little that ffmpeg.ts uses of fluent-ffmpeg 2.1.3, the last release, which comes without types. */
declare module 'fluent-ffmpeg' {
  import type { ChildProcess } from 'node:child_process'
  import type { EventEmitter } from 'node:events'

  type Ring = { get(): string }
  /** Told of the process when it has started, or of an error or null when it has ended. */
  type Told = (what: ChildProcess | Error | null, stdout?: Ring, stderr?: Ring) => void

  type Command = EventEmitter & {
    input(from: string): Command
    inputOptions(...words: string[]): Command
    output(to: string): Command
    outputOptions(...words: string[]): Command
    run(): Command
    kill(signal: string): Command
    /** Private to the library: starts `setFfmpegPath`'s program with these words. The last of `told` hears of its end. */
    _spawnFfmpeg(words: string[], options: object, ...told: Told[]): void
  }

  const ffmpeg: ((options: { cwd: string; stdoutLines: number }) => Command) & { setFfmpegPath(path: string): void }
  export = ffmpeg
}
