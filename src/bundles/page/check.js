// @ts-check
import { canonical } from './canonical.js'
import { makeSha256 } from './sha256.js'

/** @typedef {import('./proofs.js').Finding} Finding */
/** @typedef {import('./proofs.js').Story} Story */

const pagePath = 'data/index.html'
const manifestPath = 'manifest-sha256.txt'
const tagManifestPath = 'tagmanifest-sha256.txt'

/** @param {string} text @returns {Map<string, string>} */
const readManifest = (text) =>
  new Map(
    [...text.matchAll(/^([0-9a-f]{64})[ \t]+(.+?)\r?$/gim)].map(([, digest, path]) => [path, digest.toLowerCase()]),
  )

/** @param {File} file @param {(more: number) => void} onBytes */
const digestOf = async (file, onBytes) => {
  const hash = makeSha256()
  const reader = file.stream().getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return hash.digest()
    hash.update(value)
    onBytes(value.length)
  }
}

/** What is in the folder's proofs must be what this page has checked. @param {Story} story @param {Map<string, File>} files */
const proofsUnlike = async ({ receipts, entries, checkpoints, keys }, files) => {
  /** @type {Finding[]} */
  const findings = []
  const compare = async (/** @type {string} */ path, /** @type {(text: string) => boolean} */ same) => {
    const text = await files
      .get(path)
      ?.text()
      .catch(() => undefined)
    let like = text === undefined
    try {
      like ||= same(text ?? '')
    } catch {}
    if (!like) findings.push({ kind: 'altered', path, says: 'It is not what this page holds and has checked.' })
  }
  for (const { path, jws } of receipts) await compare(path, (text) => text.trim() === jws)
  for (const { path, entry, salt, parts, proof } of entries) {
    await compare(path, (text) => canonical(JSON.parse(text)) === canonical({ entry, salt, parts }))
    await compare(proof.path, (text) => text === proof.text)
  }
  for (const { path, note } of checkpoints) await compare(path, (text) => text === note)
  await compare('proofs/keys.json', (text) => canonical(JSON.parse(text)) === canonical(keys))
  return findings
}

/**
 * What every file must be: by the manifest in this page, and what that one cannot hold by the manifests in the folder.
 * @param {Story} story @param {Map<string, File>} files @param {Finding[]} findings
 */
const expectedOf = async ({ manifest }, files, findings) => {
  const read = async (/** @type {string} */ path) =>
    readManifest(
      (await files
        .get(path)
        ?.text()
        .catch(() => '')) ?? '',
    )
  const [payload, tags] = [await read(manifestPath), await read(tagManifestPath)]
  /** @type {Map<string, { sha256: string; size?: number }>} */
  const expected = new Map(manifest.map((file) => [file.path, file]))
  if (files.has(manifestPath)) {
    for (const [path, { sha256 }] of expected) {
      if (payload.get(path) === sha256) continue
      findings.push({
        kind: 'manifest',
        path: manifestPath,
        says: `It states another SHA-256 of ${path} than this page.`,
      })
    }
  }
  for (const [path, sha256] of [...payload, ...tags]) if (!expected.has(path)) expected.set(path, { sha256 })
  for (const path of [manifestPath, tagManifestPath, pagePath, 'README.txt', 'bagit.txt', 'bag-info.txt']) {
    if (!files.has(path)) findings.push({ kind: 'missing', path, says: 'It belongs to the bundle, and is not there.' })
  }
  return expected
}

/**
 * Reads every file of the folder and names all that is not as it was.
 * @param {Story} story
 * @param {Map<string, File>} files by their paths in the bag
 * @param {(at: { path: string; done: number; total: number }) => void} onBytes
 */
export const checkFiles = async (story, files, onBytes) => {
  const findings = await proofsUnlike(story, files)
  const expected = await expectedOf(story, files, findings)
  const total = [...expected.keys()].reduce((sum, path) => sum + (files.get(path)?.size ?? 0), 0)
  let done = 0
  let right = 0
  for (const [path, { sha256, size }] of expected) {
    const file = files.get(path)
    const found = (/** @type {string} */ kind, /** @type {string} */ says) => findings.push({ kind, path, says })
    if (file === undefined) {
      if (!findings.some((other) => other.path === path))
        found('missing', 'It belongs to the bundle, and is not there.')
      continue
    }
    const digest = await digestOf(file, (more) => {
      done += more
      onBytes({ path, done, total })
    }).catch(() => undefined)
    if (digest === sha256) right++
    else if (digest === undefined) found('unreadable', 'It could not be read to its end, so it was not checked.')
    else if (size !== undefined && file.size < size) found('cut', `Only ${file.size} of its ${size} bytes are there.`)
    else found('altered', `These are not the bytes that were put in the bundle: SHA-256 ${digest}, not ${sha256}.`)
  }
  for (const path of files.keys()) {
    if (expected.has(path) || path === tagManifestPath) continue
    findings.push({
      kind: 'extra',
      path,
      says: 'No manifest names it, so it is not of the bundle: it was put there later.',
    })
  }
  return { findings, right, files: expected.size }
}
