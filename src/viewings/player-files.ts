import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export type PlayerFile = { type: string; bytes: Buffer }

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const folder = path.join(import.meta.dirname, 'player')

const fileOf = (name: string): [string, PlayerFile] => {
  const type = types[path.extname(name)]
  if (type === undefined) throw new Error(`the player's folder holds ${name}, and nothing says how to serve it`)
  return [name === 'index.html' ? '' : name, { type, bytes: readFileSync(path.join(folder, name)) }]
}

/**
 * The page under '' and its files under their names, as they are served below `…/viewings/<token>/player`. The page
 * holds no footage and no name; hls.js is the npm package's own file.
 */
export const playerFiles: ReadonlyMap<string, PlayerFile> = new Map([
  ...readdirSync(folder).map(fileOf),
  [
    'hls.js',
    {
      type: 'text/javascript; charset=utf-8',
      bytes: readFileSync(fileURLToPath(import.meta.resolve('hls.js/dist/hls.light.min.mjs'))),
    },
  ],
])

/** What the page may do: its own files and nothing else; `blob:` is how hls.js gives the browser its pieces. */
export const playerPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
