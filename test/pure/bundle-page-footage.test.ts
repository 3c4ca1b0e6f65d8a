import { describe, expect, it } from 'vitest'
import type { BundleFile, BundleStory } from '../../src/bundles/story.ts'
import { buildBundle } from '../bundle-builder.ts'

/** The page's own code is JavaScript, as the browser gets it; it runs here too. */
const folder = new URL('../../src/bundles/page/', import.meta.url)
type Proofs = { checkProofs(story: BundleStory): Promise<{ findings: { kind: string; path: string; says: string }[] }> }
const { checkProofs }: Proofs = await import(new URL('proofs.js', folder).href)

type Wanted = Partial<Parameters<typeof buildBundle>[0]>
const story = (over: Wanted = {}): BundleStory =>
  buildBundle({ recording: Buffer.from('recording'), clip: Buffer.from('clip'), ...over }).story

/** Findings of a page that somebody wrote again after they had changed what it holds. */
const found = async (spoil: (story: BundleStory) => unknown, over?: Wanted): Promise<string[]> => {
  const spoilt = structuredClone(story(over))
  spoil(spoilt)
  return (await checkProofs(spoilt)).findings.map(({ kind, path, says }) => `${kind} ${path} ${says}`)
}

const forgedFile = { size: 6, sha256: 'f'.repeat(64) }

/** Whatever states the digest of this file states another. */
const replace = (of: BundleStory, file: BundleFile | undefined): void => {
  const was = file?.sha256
  const turn = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if (Object(value).sha256 === was) Object.assign(value, forgedFile)
    for (const member of Object.values(value)) turn(member)
  }
  turn([of.exhibits, of.manifest, of.schedule])
}

const withoutReceipt = (of: BundleStory): void => {
  const [exhibit] = of.exhibits
  of.receipts.shift()
  if (exhibit !== undefined) exhibit.receipt = exhibit.provenance.source.receipt = null
}

/** The entry of this number goes, with its proof. */
const without = (of: BundleStory, number: number): void => {
  of.entries.splice(number - 1, 1)
}

describe('the page of a bundle', () => {
  it('finds nothing wrong of a whole one, nor where there is no receipt and an entry states the digest', async () => {
    expect(await found(() => undefined)).toEqual([])
    expect(await found(withoutReceipt)).toEqual([])
  })

  it.each<[string, RegExp[], (story: BundleStory) => unknown]>([
    [
      'another clip',
      [/^exhibit AB\/2 data\/exhibits\/AB_2\/clip\.mp4 is not the clip that was cut/],
      (of) => replace(of, of.exhibits[1]?.media),
    ],
    [
      'another original, whose receipt was taken away',
      [/^exhibit AB\/1 data\/exhibits\/AB_1\/BWC_0001\.MP4 is not what came into custody/],
      (of) => [replace(of, of.exhibits[0]?.media), withoutReceipt(of)],
    ],
    ['a receipt that is not there', [/^exhibit AB\/1 Its receipt is not here/], (of) => of.receipts.shift()],
    [
      'no entry of what came into custody',
      [/^exhibit AB\/1 .* is not what came into custody/, /^proof .*The entry that it names is not here/],
      (of) => without(of, 1),
    ],
    ['no entry of the cutting of its clip', [/^exhibit AB\/2 .* is not the clip that was cut/], (of) => without(of, 3)],
    ['no entry of its request', [/^exhibit [0-9a-f-]{36} The entry of its being asked for/], (of) => without(of, 4)],
    [
      'one exhibit fewer',
      [/^exhibit AB\/2 The bundle was asked for with it, and it is not here/],
      (of) => of.exhibits.pop(),
    ],
    [
      'one exhibit more',
      [/^exhibit AB\/2 The bundle was not asked for with this exhibit, or it is here twice/],
      (of) => of.exhibits.push(...of.exhibits.slice(1)),
    ],
    [
      'an exhibit under another reference',
      [/^exhibit AB\/9 The bundle was asked for with AB\/2/],
      (of) => Object.assign(of.exhibits[1] ?? {}, { reference: 'AB/9' }),
    ],
    [
      'two exhibits that changed places',
      [/^exhibit AB\/1 The bundle was asked for with AB\/2/, /^exhibit AB\/2 The bundle was asked for with AB\/1/],
      (of) => {
        const [one, other] = of.exhibits.map(({ provenance }) => provenance.exhibit)
        for (const [n, said] of [other, one].entries())
          Object.assign(of.exhibits[n]?.provenance ?? {}, { exhibit: said })
      },
    ],
  ])('that was written again over %s says so, and of which exhibit', async (_, expected, spoil) => {
    const findings = (await found(spoil)).toSorted()
    expect(findings).toHaveLength(expected.length)
    for (const [n, words] of expected.entries()) expect(findings[n]).toMatch(words)
  })

  it('finds that the originals are not there, where they were asked for as well', async () => {
    expect(await found(() => undefined, { includeOriginals: true })).toEqual([
      'exhibit AB/2 Its original was asked for as well, and is not here.',
    ])
  })
})
