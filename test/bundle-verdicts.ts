import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'vitest'
import { type BundleVerdict, verifyBundle } from '../src/bundles/verify.ts'
import { type Built, buildBundle } from './bundle-builder.ts'

/** A small bundle whose footage is no video. */
export const smallBundle = (): Built =>
  buildBundle({ recording: Buffer.alloc(300_000, 'footage'), clip: Buffer.alloc(90_000, 'clip') })

/** The path of its first exhibit's footage. */
export const media = 'data/exhibits/AB_1/BWC_0001.MP4'

export const verifyBytes = async (bytes: Buffer): Promise<BundleVerdict> => {
  const place = await mkdtemp(path.join(os.tmpdir(), 'exhibit-bundle-'))
  const file = path.join(place, 'bundle.zip')
  await writeFile(file, bytes)
  try {
    return await verifyBundle(file)
  } finally {
    await rm(place, { recursive: true })
  }
}

/** Each finding as `kind path`, `-` for the whole. */
export const told = ({ findings }: BundleVerdict): string[] =>
  findings.map(({ kind, path: at }) => `${kind} ${at ?? '-'}`)

/** Expects that the verdict holds the finding, in such words. */
export const expectTold = (verdict: BundleVerdict, what: string, says: RegExp | string): void => {
  expect(verdict.ok).toBe(false)
  const found = verdict.findings.filter(({ kind, path: at }) => `${kind} ${at ?? '-'}` === what)
  expect(found.map(({ says: words }) => words).join(), told(verdict).slice(0, 20).join('\n')).toMatch(says)
}
