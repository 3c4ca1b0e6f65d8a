// The order of the house: `node scripts/house.ts [FOLDER]` reads every source file under FOLDER (this project when none is
// given), prints each import that breaks the order with the reason, and fails if there is one or if it saw no files.
// Cycles and long files are found by biome (biome.json).
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync, Visitor } from 'oxc-parser'

/** From left to right: a folder imports only from its left, and within itself. The last three are the doors. */
const order =
  'base migrations engines ledger jobs people docks uploads recordings custody renditions viewings clips cases continuity bundles downloads retention api cli workers'.split(
    ' ',
  )

/** Libraries that talk to an outside engine; a name that ends in / stands for all packages under it. */
const engineLibraries = 'pg @aws-sdk/ ioredis bullmq fluent-ffmpeg prom-client oidc-provider'.split(' ')

type Import = {
  /** What stands between the quotes; undefined when it is computed. */
  from: string | undefined
  /** Names of the values (not types) that are imported, `*` for all of them. */
  values: string[]
  line: number
}

/** Every import, export from, `import()`, `require()` and `import('…')` type of a file. Throws on a syntax error. */
const importsOf = (file: string, text: string): Import[] => {
  const { program, errors } = parseSync(file, text, { lang: 'ts', sourceType: 'module' })
  const [error] = errors
  if (error !== undefined) throw new Error(error.message)

  const imports: Import[] = []
  const note = (start: number, from: unknown, values: string[]) => {
    const line = text.slice(0, start).split('\n').length
    imports.push({ from: typeof from === 'string' ? from : undefined, values, line })
  }
  const literal = (node: { type: string; value?: unknown; quasis?: { value: { cooked: string | null } }[] }) =>
    node.type === 'TemplateLiteral' && node.quasis?.length === 1 ? node.quasis[0]?.value.cooked : node.value

  new Visitor({
    ImportDeclaration: (node) => {
      const values = node.specifiers.flatMap((name) => {
        if (name.type !== 'ImportSpecifier') return ['*']
        if (name.importKind === 'type') return []
        return [name.imported.type === 'Identifier' ? name.imported.name : name.imported.value]
      })
      note(node.start, node.source.value, node.importKind === 'type' ? [] : values)
    },
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) note(node.start, node.source.value, node.exportKind === 'type' ? [] : ['*'])
    },
    ExportAllDeclaration: (node) => note(node.start, node.source.value, node.exportKind === 'type' ? [] : ['*']),
    ImportExpression: (node) => note(node.start, literal(node.source), ['*']),
    TSImportType: (node) => note(node.start, literal(node.source), []),
    CallExpression: (node) => {
      const [first] = node.arguments
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'require' || first === undefined) return
      note(node.start, literal(first), ['*'])
    },
  }).visit(program)
  return imports
}

/** The folder of the house a file (relative to the project) stands in; undefined for one that stands in none. */
const roomOf = (file: string): string | undefined => {
  const [first, second, ...rest] = file.split('/')
  const name = first === 'src' && rest.length > 0 ? second : first === 'src' ? undefined : first
  return name !== undefined && order.includes(name) ? name : undefined
}

/** Why a file of `room` may not have this import; undefined when it may. */
const reasonAgainst = (file: string, room: string, { from, values }: Import): string | undefined => {
  if (from === undefined) {
    if (room === 'engines') return undefined // it reads the folder of migrations
    return 'imports a computed name: outside src/engines a name is written out, so that the order can be checked'
  }

  if (from.startsWith('.') || from.startsWith('/')) {
    const target = path.posix.join(path.posix.dirname(file), from)
    const targetRoom = roomOf(target)
    if (targetRoom === undefined) {
      // Data that lies beside the sources, such as package.json, is no module.
      if (target.endsWith('.json')) return undefined
      return `imports ${target}, which is no part of the house: what runs never imports scripts, tests or benches`
    }
    if (order.indexOf(targetRoom) <= order.indexOf(room)) return undefined
    return (
      `imports ${target}: a folder imports only from its left, and ${targetRoom} stands to the right of ${room}; ` +
      'what must happen further right is an owed job (src/jobs)'
    )
  }

  if (room === 'engines') return undefined
  if (engineLibraries.some((name) => from === name || from.startsWith(name.endsWith('/') ? name : `${name}/`))) {
    return `imports ${from}: an outside engine's library is imported only in src/engines; use what Engines offers`
  }
  if (from === 'kysely' && values.some((name) => name !== 'sql')) {
    return `imports ${values.join(', ')} from kysely: outside src/engines only its sql tag and its types are used`
  }
  return undefined
}

/** What is wrong with the sources under `root`, one sentence each. */
const inspect = (root: string): { files: number; faults: string[] } => {
  const files = globSync('{src,workers,migrations}/**/*.{ts,mts,cts,js,mjs,cjs}', { cwd: root }).sort()
  const faults = files.flatMap((file) => {
    const room = roomOf(file)
    if (room === undefined)
      return [`${file} stands in no folder of the house; the list of folders is in scripts/house.ts`]
    try {
      return importsOf(file, readFileSync(path.join(root, file), 'utf8')).flatMap((found) => {
        const reason = reasonAgainst(file, room, found)
        return reason === undefined ? [] : [`${file}:${found.line} ${reason}`]
      })
    } catch (error) {
      return [`${file} could not be read: ${error instanceof Error ? error.message : String(error)}`]
    }
  })
  return { files: files.length, faults }
}

const root = path.resolve(process.argv[2] ?? path.dirname(path.dirname(fileURLToPath(import.meta.url))))
const { files, faults } = inspect(root)
for (const fault of faults) console.error(fault)
if (files === 0) console.error(`No source files were seen under ${root}: nothing was checked.`)
else if (faults.length > 0)
  console.error(`${faults.length} of the above break the order of the house: ${order.join(' ← ')}`)
else console.log(`${files} files keep the order of the house.`)
if (files === 0 || faults.length > 0) process.exitCode = 1
