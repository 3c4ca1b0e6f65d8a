import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

const project = path.resolve(import.meta.dirname, '../..')
let house: string

beforeEach(async () => {
  house = await mkdtemp(path.join(os.tmpdir(), 'exhibit-house-'))
})
afterEach(async () => await rm(house, { recursive: true, force: true }))

/** Writes source files, by their path in the house. */
const plant = async (files: Record<string, string>) => {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(house, file)), { recursive: true })
    await writeFile(path.join(house, file), text)
  }
}

type Verdict = { passed: boolean; said: string }
const run = async (program: string, args: string[]): Promise<Verdict> => {
  const { promise, resolve } = Promise.withResolvers<Verdict>()
  execFile(program, args, { cwd: house }, (error, out, err) => resolve({ passed: error === null, said: out + err }))
  return await promise
}
const checkOrder = () => run(process.execPath, [path.join(project, 'scripts/house.ts'), house])

/** The linter with the project's own rules. */
const lint = async () => {
  await cp(path.join(project, 'biome.json'), path.join(house, 'biome.json'))
  await cp(path.join(project, '.gitignore'), path.join(house, '.gitignore'))
  return await run(path.join(project, 'node_modules/.bin/biome'), ['lint', '--max-diagnostics=none', '.'])
}

test('imports from the left pass, types and migrations included', async () => {
  await plant({
    'src/base/time.ts': 'export type Instant = string\nexport const now = (): Instant => new Date().toISOString()\n',
    'src/engines/postgres.ts':
      "import pg from 'pg'\nimport { Kysely } from 'kysely'\nexport const db = new Kysely(pg)\n",
    'src/uploads/queries.ts':
      "import { type Kysely, sql } from 'kysely'\nimport type { Instant } from '../base/time.ts'\nexport type Q = Kysely<Instant>\nexport { sql }\n",
    'migrations/0001-first.ts': "import { sql } from 'kysely'\nexport const up = sql\n",
    'workers/main.ts': "import { sql } from '../src/uploads/queries.ts'\nsql``\n",
  })
  const { passed, said } = await checkOrder()
  expect(said).toBe('5 files keep the order of the house.\n')
  expect(passed).toBe(true)
})

test.for([
  ['a value', "import { cut } from '../clips/clip.ts'\ncut()\n"],
  ['only a type', "import type { Clip } from '../clips/clip.ts'\nexport type C = Clip\n"],
  ['a type in place', "export type C = import('../clips/clip.ts').Clip\n"],
  ['a name passed on', "export { cut } from '../clips/clip.ts'\n"],
  ['everything passed on', "export * from '../clips/clip.ts'\n"],
  ['a module when it is needed', "export const late = async () => await import('../clips/clip.ts')\n"],
  ['a module the old way', "export const old = require('../clips/clip.ts')\n"],
])('an import from the right is found, with the reason: %s', async ([, text = '']) => {
  await plant({
    'src/clips/clip.ts': 'export type Clip = 1\nexport const cut = () => 1\n',
    'src/uploads/part.ts': text,
  })
  const { passed, said } = await checkOrder()
  expect(passed).toBe(false)
  expect(said).toContain(
    'src/uploads/part.ts:1 imports src/clips/clip.ts: a folder imports only from its left, and clips stands to the right of uploads; what must happen further right is an owed job (src/jobs)',
  )
  expect(said).toContain('base ← migrations ← engines ← ledger')
})

test('a feature that opens a door is found', async () => {
  await plant({ 'src/api/app.ts': 'export const app = 1\n', 'src/cases/case.ts': "import '../api/app.ts'\n" })
  const { passed, said } = await checkOrder()
  expect(passed).toBe(false)
  expect(said).toContain('src/cases/case.ts:1 imports src/api/app.ts')
})

test.for(['pg', '@aws-sdk/client-s3', 'ioredis', 'bullmq', 'fluent-ffmpeg', 'prom-client', 'oidc-provider'])(
  'an engine library outside of engines is found, with the reason: %s',
  async (library) => {
    await plant({
      'src/engines/engine.ts': `import engine from '${library}'\nexport { engine }\n`,
      'src/uploads/part.ts': `// a line\nimport type engine from '${library}'\nexport type E = typeof engine\n`,
      'workers/main.ts': `import engine from '${library}/sub/path.js'\nengine()\n`,
    })
    const { passed, said } = await checkOrder()
    expect(passed).toBe(false)
    expect(said).toContain(`src/uploads/part.ts:2 imports ${library}: an outside engine's library is imported only in`)
    expect(said).toContain('workers/main.ts:1 imports')
    expect(said).not.toContain('src/engines/engine.ts')
  },
)

test('a query builder of its own outside of engines is found', async () => {
  await plant({ 'src/docks/queries.ts': "import { Kysely, sql } from 'kysely'\nexport const db = [Kysely, sql]\n" })
  const { passed, said } = await checkOrder()
  expect(passed).toBe(false)
  expect(said).toContain('src/docks/queries.ts:1 imports Kysely, sql from kysely: outside src/engines only its sql tag')
})

test('what runs may not import tests, scripts or benches', async () => {
  await plant({
    'src/docks/dock.ts': "import '../../test/engines.ts'\n",
    'workers/main.ts': "import '../bench/main.ts'\n",
  })
  const { passed, said } = await checkOrder()
  expect(passed).toBe(false)
  expect(said).toContain('src/docks/dock.ts:1 imports test/engines.ts, which is no part of the house')
  expect(said).toContain('workers/main.ts:1 imports bench/main.ts, which is no part of the house')
})

test('a folder that is not in the list, a computed name and a broken file are found', async () => {
  await plant({
    'src/helpers/misc.ts': 'export const misc = 1\n',
    'src/main.ts': 'export const main = 1\n',
    'src/docks/dock.ts': 'export const load = async (name: string) => await import(name)\n',
    'src/docks/broken.ts': "import { from 'nowhere\n",
  })
  const { passed, said } = await checkOrder()
  expect(passed).toBe(false)
  expect(said).toContain('src/helpers/misc.ts stands in no folder of the house')
  expect(said).toContain('src/main.ts stands in no folder of the house')
  expect(said).toContain('src/docks/dock.ts:1 imports a computed name')
  expect(said).toContain('src/docks/broken.ts could not be read')
})

test('a house without a file fails', async () => {
  const { passed, said } = await checkOrder()
  expect(passed).toBe(false)
  expect(said).toBe(`No source files were seen under ${house}: nothing was checked.\n`)
})

test('circular imports are found, of values and of types', async () => {
  await plant({
    'src/docks/a.ts': "import { b } from './b.ts'\nexport const a = (): number => b()\n",
    'src/docks/b.ts': "import { a } from './a.ts'\nexport const b = (): number => a()\n",
    'src/cases/c.ts': "import type { D } from './d.ts'\nexport type C = { d: D }\n",
    'src/cases/d.ts': "import type { C } from './c.ts'\nexport type D = { c: C }\n",
  })
  const { passed, said } = await lint()
  expect(passed).toBe(false)
  for (const file of ['docks/a', 'docks/b', 'cases/c', 'cases/d']) expect(said).toContain(`src/${file}.ts:1:`)
  expect(said.match(/This import is part of a cycle/g)).toHaveLength(4)
})

test('a file over 400 lines is found', async () => {
  const lines = (count: number) => Array.from({ length: count }, (_, n) => `export const n${n} = ${n}\n`).join('')
  await plant({ 'src/docks/long.ts': lines(401), 'src/docks/short.ts': lines(400) })
  const { passed, said } = await lint()
  expect(passed).toBe(false)
  expect(said).toContain('src/docks/long.ts')
  expect(said).toContain('noExcessiveLinesPerFile')
  expect(said).not.toContain('src/docks/short.ts')
})

test('a promise that nobody waits for is found', async () => {
  await plant({ 'src/docks/a.ts': 'const work = async () => 1\nexport const go = () => {\n  work()\n}\n' })
  const { passed, said } = await lint()
  expect(passed).toBe(false)
  expect(said).toContain('noFloatingPromises')
})
