import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Problem } from '../../src/base/problem.ts'
import { readBytes, readChecksum, readMetadata, writeMetadata } from '../../src/uploads/tus.ts'

const b64 = (text: string) => Buffer.from(text).toString('base64')
const needed = `filename ${b64('BWC_0042.MP4')},camera ${b64('CAM-1')},recordedAt ${b64('2026-11-25T22:15:00Z')}`
const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  }
  return 'accepted'
}

test('metadata gives the facts of a file, and unknown keys are kept as data', () => {
  const file = readMetadata(`${needed},number ${b64('42')},colour ${b64('blue')}`, 8192)
  expect(file).toMatchObject({ filename: 'BWC_0042.MP4', camera: 'CAM-1', number: 42, sha256: null })
  expect(file.all.colour).toBe('blue')
})

test('metadata goes back into a header as it came', () => {
  expect(readMetadata(writeMetadata(readMetadata(needed, 8192).all), 8192)).toEqual(readMetadata(needed, 8192))
})

const kept = [
  '../../x',
  '/etc/passwd',
  'a'.repeat(4096),
  '\u202Egnp.exe',
  '<b>.mp4',
  'C:\\con',
  '..',
  '.',
  '名前.mp4',
  '__proto__',
]
test.each(kept)('a file name is never refused for what it looks like, and stays as it is: %s', (name) => {
  const header = needed.replace(b64('BWC_0042.MP4'), b64(name))
  expect(readMetadata(header, 8192).filename).toBe(name)
})

const refused: [string, string][] = [
  ['nothing at all', ''],
  ['a value that is not base64', `${needed},x !!!!`],
  ['base64 without its padding', `${needed},x YQ`],
  ['base64url', `${needed},x _-__`],
  ['a repeated key', `${needed},camera ${b64('CAM-2')}`],
  ['control characters', `${needed},x ${b64('a\u0000b')}`],
  ['a line break', `${needed},x ${b64('a\r\nb')}`],
  ['bytes that are not UTF-8', `${needed},x ${Buffer.from([0xff, 0xfe]).toString('base64')}`],
  ['three words in a pair', `${needed},x YQ== YQ==`],
  ['an empty pair', `${needed},`],
  ['no camera', needed.replace('camera', 'kamera')],
  ['an empty file name', needed.replace(b64('BWC_0042.MP4'), '')],
  ['a time that is none', needed.replace(b64('2026-11-25T22:15:00Z'), b64('yesterday'))],
  ['a time without a zone', needed.replace(b64('2026-11-25T22:15:00Z'), b64('2026-11-25T22:15:00'))],
  ['the 31st of February', needed.replace(b64('2026-11-25T22:15:00Z'), b64('2026-02-31T99:15:00Z'))],
  ['a digest in capitals', `${needed},sha256 ${b64('A'.repeat(64))}`],
  ['a negative number', `${needed},number ${b64('-1')}`],
  ['64 KiB', `${needed},x ${b64('a'.repeat(65536))}`],
]
test.each(refused)('metadata with %s is refused', (_what, header) => {
  expect(codeOf(() => readMetadata(header, 8192))).toBe('metadata-invalid')
})

test('a clock in 2001 or in 2090 is accepted', () => {
  for (const at of ['2001-01-01T00:00:00Z', '2090-06-01T12:00:00+02:00']) {
    expect(codeOf(() => readMetadata(needed.replace(b64('2026-11-25T22:15:00Z'), b64(at)), 8192))).toBe('accepted')
  }
})

test.each(['-1', '1.5', '9223372036854775808', '1e3', '', ' 1', '0x10', undefined])(
  'a length of %s is refused',
  (length) => {
    expect(codeOf(() => readBytes(length, 'Upload-Length'))).toBe('length-invalid')
  },
)

test('a checksum names its algorithm and carries a digest of the right length', () => {
  const digest = createHash('sha256').update('x').digest()
  expect(readChecksum(`sha256 ${digest.toString('base64')}`)).toEqual({ algorithm: 'sha256', digest })
  expect(codeOf(() => readChecksum(`md5 ${digest.toString('base64')}`))).toBe('unknown-digest-algorithm')
  expect(codeOf(() => readChecksum('sha256'))).toBe('bad-request')
  expect(codeOf(() => readChecksum('sha256 !!!'))).toBe('bad-request')
  expect(codeOf(() => readChecksum(`sha1 ${digest.toString('base64')}`))).toBe('bad-request')
})
