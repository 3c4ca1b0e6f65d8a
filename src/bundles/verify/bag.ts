import type { Find } from './finding.ts'
import { unsafeBecause } from './names.ts'
import { textOf } from './reading.ts'
import type { Source } from './source.ts'

const manifestPath = 'manifest-sha256.txt'
export const tagManifestPath = 'tagmanifest-sha256.txt'
const declaration = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'
const mostText = 256 * 1024 * 1024

/** What every bundle holds, whatever its manifests say. */
const always = [
  'bagit.txt',
  'bag-info.txt',
  manifestPath,
  tagManifestPath,
  'README.txt',
  'proofs/keys.json',
  'data/index.html',
  'data/schedules/MG6C.csv',
  'data/schedules/MG6C.json',
  'data/schedules/MG6C.pdf',
]

/** Digests by path. */
type Manifest = ReadonlyMap<string, string>

const unescaped = (path: string): string =>
  path.replace(/%(0a|0d|25)/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** Reads a manifest's lines; each that is not one of a manifest, or names no file that may be, is found. */
const readManifest = (text: string, name: string, find: Find): Manifest => {
  const digests = new Map<string, string>()
  const lines = text.split(/\r\n|\r|\n/)
  for (const [index, line] of lines.entries()) {
    if (line === '') continue
    const [, digest = '', written = ''] = /^([0-9a-f]{64})[ \t]+(.+)$/i.exec(line) ?? []
    const path = unescaped(written)
    const unsafe = digest === '' ? undefined : unsafeBecause(path)
    const where = `Line ${index + 1} of ${name}`
    if (digest === '') find('manifest', name, `${where} is not a digest and a path.`)
    else if (unsafe !== undefined) find('unsafe-name', path, `${where} names this path, which is refused: ${unsafe}.`)
    else if (path.startsWith('data/') !== (name === manifestPath)) {
      find('manifest', path, `${where} names this path, which belongs in the other manifest.`)
    } else if (digests.has(path)) find('manifest', path, `${where} names this path a second time.`)
    else digests.set(path, digest.toLowerCase())
  }
  return digests
}

const value = (info: string, label: string): string[] =>
  info
    .replace(/\r\n?/g, '\n')
    .replace(/\n[ \t]+/g, ' ')
    .split('\n')
    .filter((line) => line.toLowerCase().startsWith(`${label.toLowerCase()}:`))
    .map((line) => line.slice(label.length + 1).trim())

const checkOxum = (source: Source, info: string, find: Find): void => {
  const stated = value(info, 'Payload-Oxum')
  let [bytes, files] = [0, 0]
  for (const [path, { size }] of source.members) {
    if (!path.startsWith('data/')) continue
    bytes += size
    files++
  }
  const there = `${bytes}.${files}`
  if (stated.length !== 1) find('bag', 'bag-info.txt', 'It does not state one Payload-Oxum.')
  else if (stated[0] !== there) {
    find(
      'bag',
      'bag-info.txt',
      `Payload-Oxum states ${stated[0]} (bytes, then files) under data/, and there are ${there}.`,
    )
  }
}

const leftBySystem = /(^|\/)(\.DS_Store|\.localized|Thumbs\.db|desktop\.ini|\._[^/]*)$|^__MACOSX\//i

const extra = (path: string, find: Find): void => {
  const because = leftBySystem.test(path)
    ? 'It looks like one that a computer leaves behind where a folder was looked at; delete it and check again.'
    : 'It was put there afterwards.'
  find('extra', path, `No manifest names this file, so it is not of the bundle. ${because}`)
}

export type Bag = {
  /** The bundle's id as it states it. */
  bundle: string | null
  /** Null where the manifest cannot be read. */
  payload: Manifest | null
  tags: Manifest
}

/** Reads the bag's own files and holds what they list against what is there. */
export const checkBag = async (source: Source, find: Find): Promise<Bag> => {
  const read = async (path: string): Promise<string | null> => await textOf(source, path, mostText, find)
  const bagit = await read('bagit.txt')
  if (bagit !== null && bagit.replace(/\r\n?/g, '\n') !== declaration) {
    find('bag', 'bagit.txt', 'It does not declare BagIt 1.0 in UTF-8.')
  }
  const info = await read('bag-info.txt')
  if (info !== null) checkOxum(source, info, find)
  const [bundle = null] = info === null ? [] : value(info, 'External-Identifier')
  const named = source.top?.startsWith('exhibit-bundle-') ? source.top.slice('exhibit-bundle-'.length) : null
  if (source.kind === 'zip' && named !== bundle && info !== null) {
    find('bag', 'bag-info.txt', 'External-Identifier is not the id in the name of the folder.')
  }

  const [payloadText, tagText] = [await read(manifestPath), await read(tagManifestPath)]
  const payload = readManifest(payloadText ?? '', manifestPath, find)
  const tags = readManifest(tagText ?? '', tagManifestPath, find)
  const listed = new Set([...always, ...payload.keys(), ...tags.keys()])
  for (const path of listed) {
    if (source.members.has(path)) continue
    find('missing', path, 'It belongs to the bundle, and is not there.')
  }
  if (payloadText === null || tagText === null) {
    find('manifest', null, 'A manifest cannot be read, so it cannot be told which files belong to the bundle.')
  }
  for (const path of source.members.keys()) {
    const judge = path.startsWith('data/') ? payloadText : tagText
    if (judge !== null && path !== tagManifestPath && !payload.has(path) && !tags.has(path)) extra(path, find)
  }
  return { bundle, payload: payloadText === null ? null : payload, tags }
}
