/**
 * Who is to blame when ffmpeg did not do its work: `content` (it refused or stumbled over the file), `time` (the file kept
 * it busy for too long), or `machine` (it could not start, was killed from outside, or could not reach its folder), which
 * says nothing about the file and may be tried again.
 */
export type Blame = 'content' | 'time' | 'machine'

/** `detail` is the end of what ffmpeg said, about 2 KB: for the log, never for a caller outside, since it holds paths. */
export class FfmpegFailed extends Error {
  readonly blame: Blame
  readonly detail: string
  constructor(message: string, blame: Blame, detail: string) {
    super(message)
    this.name = 'FfmpegFailed'
    this.blame = blame
    this.detail = detail
  }
}

const tailLength = 2048

/** Keeps the end of what a program says. */
export const makeTail = (): { add(text: string): void; get(): string } => {
  let text = ''
  return {
    add: (more) => {
      text = (text + more).slice(-tailLength)
    },
    get: () => text.trim(),
  }
}

/** How a process ended: its exit code, or the signal that ended it. */
export type Ending = { code: number | null; signal: string | null }

const cageSays = /^(?:\/usr\/bin\/)?(?:env|bwrap|unshare|setpriv|prlimit): [^\n]*$/
const folderIsOutOfReach =
  /^file:\/[^\n]*: (?:Permission denied|No such file or directory|No space left on device|Read-only file system)$/m
/** Where in its work the disk turned out to be full, as ffmpeg says it. */
const diskIsFull =
  /^(?:av_interleaved_write_frame\(\)|Error (?:writing trailer of|closing file) [^\n]*): No space left on device$/m

/** bubblewrap passes a signal on as 128 and its number. Time used up has a signal of its own, SIGXCPU. */
const killedFromOutside = ({ code, signal }: Ending) =>
  signal === 'SIGKILL' || signal === 'SIGTERM' || code === 128 + 9 || code === 128 + 15

export const blameFor = (ending: Ending, detail: string): Blame => {
  if (killedFromOutside(ending) || ending.code === 126 || ending.code === 127) return 'machine'
  const says = [cageSays, folderIsOutOfReach, diskIsFull]
  return says.some((words) => words.test(detail)) ? 'machine' : 'content'
}
