import { createHash, type Hash, timingSafeEqual } from 'node:crypto'
import type { CameraSerial, Sha256 } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'

/** tus 1.0.0: what the headers say, as values. Each reader throws the problem that the protocol asks for. */

export const tusVersion = '1.0.0'
export const tusExtensions = 'creation,creation-with-upload,checksum,expiration,termination'
export const checksumAlgorithms = ['sha256', 'sha1'] as const
export const chunkType = 'application/offset+octet-stream'

type Algorithm = (typeof checksumAlgorithms)[number]
export type Checksum = { algorithm: Algorithm; digest: Buffer }
const digestBytes: Record<Algorithm, number> = { sha256: 32, sha1: 20 }

const isAlgorithm = (name: string): name is Algorithm => checksumAlgorithms.some((known) => known === name)

const strictBase64 = (text: string): Buffer | null => {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null
  return Buffer.from(text, 'base64')
}

/** `Upload-Checksum: sha256 <base64>`. */
export const readChecksum = (header: string | undefined): Checksum | undefined => {
  if (header === undefined) return undefined
  const [algorithm = '', encoded = '', ...rest] = header.split(' ')
  if (!isAlgorithm(algorithm)) throw new Problem('unknown-digest-algorithm')
  const digest = strictBase64(encoded)
  if (digest === null || rest.length > 0 || digest.length !== digestBytes[algorithm]) {
    throw new Problem('bad-request', `Upload-Checksum is not a base64 ${algorithm} digest.`)
  }
  return { algorithm, digest }
}

export const hashFor = (checksum: Checksum | undefined): Hash | undefined =>
  checksum === undefined ? undefined : createHash(checksum.algorithm)

export const digestMatches = (checksum: Checksum, digest: Buffer): boolean => timingSafeEqual(checksum.digest, digest)

/** A header that holds a whole number of bytes. */
export const readBytes = (header: string | undefined, name: string): number => {
  const value = header !== undefined && /^\d{1,16}$/.test(header) ? Number(header) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new Problem('length-invalid', `${name} is not a whole number of bytes.`)
  return value
}

/** What a dock says of a file (design, section 4). Unknown keys are kept as data. */
export type FileFacts = {
  filename: string
  camera: CameraSerial
  recordedAt: Date
  sha256: Sha256 | null
  category: string | null
  incident: string | null
  number: number | null
  sequence: string | null
  all: Record<string, string>
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controls = /[\u0000-\u001f\u007f]/
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const pairs = (header: string): Record<string, string> => {
  const found: Record<string, string> = Object.create(null)
  for (const pair of header.split(',')) {
    const [key = '', encoded = '', ...rest] = pair.trim().split(' ')
    if (!/^[\x21-\x2b\x2d-\x7e]{1,64}$/.test(key) || rest.length > 0)
      throw new Problem('metadata-invalid', 'A key of Upload-Metadata is not valid.')
    if (key in found) throw new Problem('metadata-invalid', `Upload-Metadata repeats the key ${key}.`)
    const bytes = strictBase64(encoded)
    if (bytes === null) throw new Problem('metadata-invalid', `The value of ${key} is not base64.`)
    let text: string
    try {
      text = utf8.decode(bytes)
    } catch {
      throw new Problem('metadata-invalid', `The value of ${key} is not UTF-8.`)
    }
    if (controls.test(text)) throw new Problem('metadata-invalid', `The value of ${key} holds control characters.`)
    found[key] = text
  }
  return found
}

/** Reads `Upload-Metadata`. Refuses what is not base64, repeats a key, holds control characters, or lacks what is required. */
export const readMetadata = (header: string | undefined, longest: number): FileFacts => {
  if (header === undefined || header === '') throw new Problem('metadata-invalid', 'Upload-Metadata is missing.')
  if (header.length > longest) throw new Problem('metadata-invalid', `Upload-Metadata is longer than ${longest} bytes.`)
  const all = pairs(header)
  const { filename, camera, recordedAt, sha256, category, incident, number, sequence } = all
  if (!filename || !camera || !recordedAt) {
    throw new Problem('metadata-invalid', 'Upload-Metadata needs filename, camera and recordedAt.')
  }
  if (camera.length > 64) throw new Problem('metadata-invalid', 'camera is longer than 64 characters.')
  const at = new Date(recordedAt)
  if (!rfc3339.test(recordedAt) || Number.isNaN(at.getTime()))
    throw new Problem('metadata-invalid', 'recordedAt is not an RFC 3339 time.')
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256))
    throw new Problem('metadata-invalid', 'sha256 is not 64 lower-case hex digits.')
  if (number !== undefined && !/^\d{1,15}$/.test(number))
    throw new Problem('metadata-invalid', 'number is not a whole number.')
  return {
    filename,
    camera: camera as CameraSerial,
    recordedAt: at,
    sha256: (sha256 as Sha256 | undefined) ?? null,
    category: category ?? null,
    incident: incident ?? null,
    number: number === undefined ? null : Number(number),
    sequence: sequence ?? null,
    all: { ...all },
  }
}

/** The same, back into a header (HEAD answers it). */
export const writeMetadata = (all: Record<string, string>): string =>
  Object.entries(all)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')
