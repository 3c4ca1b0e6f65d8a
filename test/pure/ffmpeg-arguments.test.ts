import { expect, test } from 'vitest'
import { globalWords, inputWords, outputWords, probeWords } from '../../src/engines/ffmpeg-arguments.ts'
import { blameFor, makeTail } from '../../src/engines/ffmpeg-failed.ts'
import { cageWords, type SandboxTier, tiers } from '../../src/engines/sandbox.ts'

const limits = { maxPixels: 1000, maxStreams: 16 }

test.for<[string, string]>([
  ['mov', '-protocol_whitelist file -max_streams 16 -max_pixels 1000 -enable_drefs 0 -f mov'],
  ['matroska', '-protocol_whitelist file -max_streams 16 -max_pixels 1000 -f matroska'],
  ['avi', '-protocol_whitelist file -max_streams 16 -max_pixels 1000 -f avi'],
])('before every %s stand the rules for hostile input, and the demuxer is forced', ([demuxer, rules]) => {
  const { options, from } = inputWords('/scratch/a', { path: '/scratch/a/original', demuxer }, limits)
  expect(options.join(' ')).toBe(rules)
  expect(from).toBe('file:/scratch/a/original')
  expect(probeWords('/scratch/a/original', demuxer, ['-show_format'], limits).join(' ')).toBe(
    `-hide_banner -v error -of json=compact=1 -show_format ${rules} file:/scratch/a/original`,
  )
})

test('an input’s own options cannot come after the rules', () => {
  const input = { path: '/scratch/a/original', demuxer: 'avi', options: ['-f', 'hls'] }
  const { options } = inputWords('/scratch/a', input, limits)
  expect(options.slice(0, 2)).toEqual(['-f', 'hls'])
  expect(options.slice(-2)).toEqual(['-f', 'avi'])
})

test.for([
  'original',
  '../original',
  '/etc/passwd',
  '/scratch/a/../b/original',
  '/scratch/a/deeper/original',
  '/scratch',
])('ffmpeg is not pointed at %s when its folder is /scratch/a', (file) => {
  expect(() => inputWords('/scratch/a', { path: file, demuxer: 'mov' }, limits)).toThrow(TypeError)
  expect(() => outputWords('/scratch/a', { path: file, options: [] })).toThrow(TypeError)
})

test('a test picture needs no rules, and a result may be thrown away', () => {
  expect(inputWords('/scratch/a', { graph: 'testsrc2' }, limits)).toEqual({
    options: ['-f', 'lavfi'],
    from: 'testsrc2',
  })
  expect(outputWords('/scratch/a', { path: null, options: ['-vn'] })).toEqual({
    options: ['-vn', '-f', 'null'],
    to: '-',
  })
})

test('ffmpeg never waits for a keyboard, and tells its progress only when asked', () => {
  expect(globalWords(false)).toContain('-nostdin')
  expect(globalWords(false)).not.toContain('-progress')
  expect(globalWords(true)).toEqual(expect.arrayContaining(['-progress', 'pipe:2']))
})

const cage = {
  folder: '/scratch/a',
  writable: false,
  allowance: { addressSpace: 100, cpuSeconds: 10, outputBytes: 0, openFiles: 64 },
}

test.for<[SandboxTier, string]>([
  [
    'bubblewrap',
    '-i PATH=/bin LC_ALL=C MALLOC_ARENA_MAX=2 bwrap --unshare-all --die-with-parent --new-session --cap-drop ALL ' +
      '--ro-bind /usr /usr --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 ' +
      '--ro-bind-try /etc/alternatives /etc/alternatives --ro-bind /scratch/a /scratch/a --chdir /scratch/a -- ' +
      'prlimit --as=100 --cpu=10:15 --fsize=0 --nofile=64 --core=0',
  ],
  [
    'own-network-and-user',
    '-i PATH=/bin LC_ALL=C MALLOC_ARENA_MAX=2 unshare --net --ipc setpriv --pdeathsig SIGKILL --no-new-privs ' +
      '--reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all ' +
      'prlimit --as=100 --cpu=10:15 --fsize=0 --nofile=64 --core=0',
  ],
  [
    'limits',
    '-i PATH=/bin LC_ALL=C MALLOC_ARENA_MAX=2 setpriv --pdeathsig SIGKILL --no-new-privs ' +
      'prlimit --as=100 --cpu=10:15 --fsize=0 --nofile=64 --core=0',
  ],
  ['none', '-i PATH=/bin LC_ALL=C MALLOC_ARENA_MAX=2'],
])('the cage "%s" is these words', ([tier, words]) => {
  expect(cageWords(tier, cage, '/bin').join(' ')).toBe(words)
})

test('only a run that writes may write to its folder', () => {
  const words = cageWords('bubblewrap', { ...cage, writable: true }, '/bin').join(' ')
  expect(words).toContain('--bind /scratch/a /scratch/a')
  expect(words).not.toContain('--ro-bind /scratch/a')
})

test('no cage passes our environment on', () => {
  for (const tier of tiers) expect(cageWords(tier, cage, '/bin')[0]).toBe('-i')
})

const killed = { code: null, signal: 'SIGKILL' }
const failed = { code: 1, signal: null }

test.for<[string, { code: number | null; signal: string | null }, string, string]>([
  ['a file ffmpeg does not understand', failed, 'file:/s/a: Invalid data found when processing input', 'content'],
  ['a file that crashes it', { code: null, signal: 'SIGSEGV' }, '', 'content'],
  ['a file that eats its time', { code: 128 + 24, signal: null }, '', 'content'],
  ['a kill from outside', killed, '', 'machine'],
  ['a kill from outside, seen through bubblewrap', { code: 137, signal: null }, '', 'machine'],
  ['a program that is not there', { code: 127, signal: null }, "env: 'bwrap': No such file or directory", 'machine'],
  ['a cage that cannot be built', failed, 'bwrap: Creating new namespace failed: Operation not permitted', 'machine'],
  ['a folder out of reach', failed, 'file:/s/a/original: Permission denied', 'machine'],
  ['a full disk', failed, 'av_interleaved_write_frame(): x\nfile:/s/a/out: No space left on device', 'machine'],
  ['a disk that is full midway', failed, 'av_interleaved_write_frame(): No space left on device', 'machine'],
  ['a file that quotes a cage’s words', failed, 'title\nbwrap: Operation not permitted', 'content'],
])('%s is blamed rightly', ([, ending, detail, blame]) => {
  expect(blameFor(ending, detail)).toBe(blame)
})

test('of what a program says only the last 2 KB are kept', () => {
  const tail = makeTail()
  for (let line = 0; line < 1000; line++) tail.add(`line ${line} of a talkative program\n`)
  expect(tail.get().length).toBeLessThanOrEqual(2048)
  expect(tail.get().endsWith('line 999 of a talkative program')).toBe(true)
})
