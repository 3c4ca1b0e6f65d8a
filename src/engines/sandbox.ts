/**
 * The cages ffmpeg is put in, best first. Which one this machine can build is found out by building it
 * (`makeFfmpeg`), not by looking for programs.
 */
export const tiers = ['bubblewrap', 'own-network-and-user', 'limits', 'none'] as const
export type SandboxTier = (typeof tiers)[number]

export const tierInWords: Record<SandboxTier, string> = {
  bubblewrap: 'ffmpeg sees no network, no process and no file but its programs and one scratch folder, within limits',
  'own-network-and-user': 'ffmpeg has no network and runs as nobody within limits; it can read what all users may read',
  limits: 'ffmpeg runs as this user with limits on memory, time and output; install bubblewrap to confine it',
  none: 'ffmpeg runs as this user, ended only when its time is over; this machine offers no way to confine it',
}

/** User and group `nobody` on Linux, which ffmpeg becomes where root has no better cage for it. */
export const nobody = 65_534

/** What one run may use. Bytes, and seconds of all its threads together. */
type Allowance = {
  addressSpace: number
  cpuSeconds: number
  /** Of each file it writes. */
  outputBytes: number
  openFiles: number
}

/** One run: the only folder it sees, whether it may write there, what it may use. */
export type Cage = { folder: string; writable: boolean; allowance: Allowance }

/** Everything ffmpeg gets of our environment, which holds secrets: where programs are. Few arenas keep its memory small. */
const environment = (path: string) => ['-i', `PATH=${path}`, 'LC_ALL=C', 'MALLOC_ARENA_MAX=2']

/** A soft limit on time ends it with a signal of its own, so that it can be told from somebody else's kill. */
const limited = ({ addressSpace, cpuSeconds, outputBytes, openFiles }: Allowance) => [
  'prlimit',
  `--as=${addressSpace}`,
  `--cpu=${cpuSeconds}:${cpuSeconds + 5}`,
  `--fsize=${outputBytes}`,
  `--nofile=${openFiles}`,
  '--core=0',
]

const systemFolders = ['/lib', '/lib64', '/etc/alternatives'].flatMap((name) => ['--ro-bind-try', name, name])

const dieWithUs = ['setpriv', '--pdeathsig', 'SIGKILL', '--no-new-privs']

const wrappers: Record<SandboxTier, (cage: Cage) => string[]> = {
  bubblewrap: ({ folder, writable, allowance }) => [
    ...'bwrap --unshare-all --die-with-parent --new-session --cap-drop ALL --ro-bind /usr /usr'.split(' '),
    ...systemFolders,
    writable ? '--bind' : '--ro-bind',
    folder,
    folder,
    '--chdir',
    folder,
    '--',
    ...limited(allowance),
  ],
  'own-network-and-user': ({ allowance }) => [
    ...['unshare', '--net', '--ipc', ...dieWithUs],
    ...[`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'],
    ...limited(allowance),
  ],
  limits: ({ allowance }) => [...dieWithUs, ...limited(allowance)],
  none: () => [],
}

/**
 * What stands before `ffmpeg` or `ffprobe` on the command line of `/usr/bin/env`. Each word replaces itself by the next,
 * so that ending the process ends ffmpeg, and our own death does too.
 */
export const cageWords = (tier: SandboxTier, cage: Cage, path: string): string[] => [
  ...environment(path),
  ...wrappers[tier](cage),
]
