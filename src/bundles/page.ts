import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { html, inertJson, type Markup } from './page/markup.ts'
import { checks, exhibits, holdings, masthead, schedule } from './page/sections.ts'
import type { BundleStory } from './story.ts'

const read = (name: string): string => readFileSync(path.join(import.meta.dirname, 'page', name), 'utf8')

/** In an order in which each stands behind what it imports. */
const modules = ['sha256', 'canonical', 'signatures', 'log', 'proofs', 'folder', 'check', 'main']

/** A module as a part of one script: without what it imports, which stands before it, and with what it exports for those behind. */
const joined = (text: string): string =>
  text.replace(/^import [^;]*? from '\.\/[^']+'$/gm, '').replace(/^export /gm, '')

const script = modules.map((name) => joined(read(`${name}.js`))).join('\n')
const style = ['page', 'checks', 'print'].map((name) => read(`${name}.css`)).join('\n')

const sourceOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/**
 * What the page may do: its own script and style, and media beside it. `file:` is for browsers in which a page from disk is
 * not of one origin with itself. Nothing can be asked of any host.
 */
const policy = [
  "default-src 'none'",
  `script-src ${sourceOf(script)}`,
  `style-src ${sourceOf(style)}`,
  "media-src 'self' file:",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const raw = (markup: string): Markup => ({ markup })

/**
 * `data/index.html`: one file that opens from disk, plays and tells what the bundle holds, and checks it in the browser.
 * The same story gives the same bytes.
 */
export const pageHtml = (story: BundleStory): string =>
  html`<!doctype html>
<html lang="en-GB">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${raw(policy)}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta name="referrer" content="no-referrer">
    <meta name="robots" content="noindex">
    <title>Case ${story.case.reference} · Exhibit</title>
    <style>${raw(style)}</style>
  </head>
  <body>${masthead(story)}
    <main>
      <noscript><p class="card notice">JavaScript is switched off in this browser, so this page checks nothing. What it shows was written when the bundle was made.</p></noscript>${checks(story)}${exhibits(story)}${schedule(story)}${holdings(story)}
    </main>
    <script type="application/json" id="story">${inertJson(story)}</script>
    <script type="module">${raw(script)}</script>
  </body>
</html>
`.markup
