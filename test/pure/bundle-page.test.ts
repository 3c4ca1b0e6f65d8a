import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { canonical as ours } from '../../src/base/canonical.ts'
import { html, inertJson } from '../../src/bundles/page/markup.ts'
import { pageHtml } from '../../src/bundles/page.ts'
import { buildBundle } from '../bundle-builder.ts'

const folder = new URL('../../src/bundles/page/', import.meta.url)
/** The page's own code is JavaScript, as the browser gets it. */
type Sha256 = { makeSha256(): { update(bytes: Uint8Array): void; digest(): string } }
const { makeSha256 }: Sha256 = await import(new URL('sha256.js', folder).href)
type Texts = { canonical(value: unknown): string; unhex(text: string): Uint8Array }
const { canonical, unhex }: Texts = await import(new URL('canonical.js', folder).href)

const digest = (...pieces: Uint8Array[]): string => {
  const hash = makeSha256()
  for (const piece of pieces) hash.update(piece)
  return hash.digest()
}
const expected = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const story = (title = 'A case') =>
  buildBundle({ recording: Buffer.from('recording'), clip: Buffer.from('clip'), title }).story

describe("the page's SHA-256", () => {
  it('is that of the standard, for the vectors that it prints', () => {
    expect(digest()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(digest(Buffer.from('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(digest(Buffer.alloc(1_000_000, 'a'))).toBe(
      'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
    )
  })

  it('is right for every length around the edges of its blocks, however the bytes come', () => {
    const bytes = randomBytes(70_000)
    for (const length of [...Array(200).keys(), 255, 256, 257, 4095, 4096, 4097, 65_535, 65_536, 65_537]) {
      const some = bytes.subarray(0, length)
      expect(digest(some)).toBe(expected(some))
      for (const cut of [1, 55, 56, 63, 64, 65, 1000]) {
        const pieces = Array.from({ length: Math.ceil(length / cut) }, (_, n) => some.subarray(n * cut, (n + 1) * cut))
        if (length < 5000) expect(digest(...pieces)).toBe(expected(some))
      }
    }
  })

  it('counts beyond 512 MiB, where the number of bits takes more than 32', () => {
    const block = Buffer.alloc(8 * 1024 * 1024, 7)
    const [hash, other] = [makeSha256(), createHash('sha256')]
    for (let n = 0; n < 65; n++) {
      hash.update(block)
      other.update(block)
    }
    expect(hash.digest()).toBe(other.digest('hex'))
  }, 60_000)
})

describe("the page's canonical JSON", () => {
  it('is that of RFC 8785, as the ledger seals it', () => {
    const values = [
      null,
      [1e21, 1e-7, -0, 0.1, 4294967296],
      { b: 1, a: [true, null, 'é'], '\u20ac': 1, '\ud83d\ude00': 2, '\ufb33': 3, '1': 4, '\r': 5, '': 6 },
      'a"\\\u0001\u007f\u2028</script>',
      { deep: { er: [{ z: 1, y: [] }, {}] } },
    ]
    for (const value of values) expect(canonical(JSON.parse(JSON.stringify(value)))).toBe(ours(value))
    expect([...unhex('00ff10')]).toEqual([0, 255, 16])
  })
})

const hostile = [
  '</script><script>globalThis.struck = 1</script>',
  '"><img src=x onerror="globalThis.struck = 1">',
  "' onmouseover='globalThis.struck=1",
  '<!-- <script> -->',
  'a\u202etxt.exe',
  '\u2028\u2029',
  '$' + '{globalThis.struck = 1}',
]

describe('the page', () => {
  it.each(hostile)('shows %j as words', (title) => {
    const page = pageHtml(story(title))
    const [before, embedded = '', after] = page.split(
      /<script type="application\/json" id="story">|<\/script>\s*<script type="module">/,
    )
    expect(embedded).not.toMatch(/<|\u2028|\u2029/)
    expect(JSON.parse(embedded).case.title).toBe(title)
    expect(before).not.toMatch(/<script|<img|\son[a-z]+="/)
    expect(before).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u2028\u2029]/)
    expect(after?.match(/<\/script>/g)).toHaveLength(1)
  })

  it('is the same bytes for the same story, asks nothing of any host, and runs only the script it names', () => {
    const one = story()
    const page = pageHtml(one)
    expect(pageHtml(structuredClone(one))).toBe(page)
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|data:|blob:|\*/)
    for (const [tag, directive] of [
      ['script type="module"', 'script-src'],
      ['style', 'style-src'],
    ]) {
      const text = new RegExp(`<${tag}>([\\s\\S]*?)</${tag?.split(' ')[0]}>`).exec(page)?.[1] ?? ''
      expect(policy).toContain(`${directive} 'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      expect(text.length).toBeGreaterThan(1000)
    }
    expect(page).not.toMatch(/(?:src|href|action)="(?:[a-z]+:|\/\/)|@import|\burl\(|\sstyle=/)
    expect(page).not.toMatch(/fetch\(|XMLHttpRequest|WebSocket|sendBeacon|importScripts/)
  })

  it('is one script of all its modules: none is left out, and none imports or exports any more', () => {
    const script = /<script type="module">([\s\S]*?)<\/script>/.exec(pageHtml(story()))?.[1] ?? ''
    expect(script).not.toMatch(/^\s*(?:import|export)\s/m)
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.js'))) {
      const [, first] = /^export const (\w+)/m.exec(readFileSync(new URL(name, folder), 'utf8')) ?? []
      if (first !== undefined) expect(script).toContain(`\nconst ${first} =`)
    }
    // Two of one name would be a syntax error.
    expect(() => new Function(`return async () => {${script}}`)).not.toThrow()
  })

  it('escapes whatever is put into a template, and leaves what was made by one', () => {
    expect(html`<p title="${`"'<&>`}">${html`<b>${1}</b>`}${[html`x`, html`y`]}</p>`.markup).toBe(
      '<p title="&quot;&#39;&lt;&amp;&gt;"><b>1</b>xy</p>',
    )
    expect(inertJson({ a: '</script>\u2028' }).markup).toBe('{"a":"\\u003c/script>\\u2028"}')
  })
})
