// `npm run check`: every check of the code that needs no engine, each run to its end so that one run shows all that is wrong.
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const root = path.dirname(import.meta.dirname)

const checks = [
  { what: 'types', program: 'tsc', args: ['--noEmit'] },
  { what: 'lint and format, cycles, length of files', program: 'biome', args: ['check', '--error-on-warnings', '.'] },
  { what: 'unused code and dependencies', program: 'knip', args: [] },
  { what: 'order of the house', program: 'node', args: ['scripts/house.ts'] },
]

const failed = checks.filter(({ what, program, args }) => {
  console.log(`── ${what}: ${program} ${args.join(' ')}`)
  return spawnSync(path.join(root, 'node_modules', '.bin', program), args, { cwd: root, stdio: 'inherit' }).status !== 0
})

console.log(failed.length === 0 ? '── all is well' : `── not well: ${failed.map(({ what }) => what).join('; ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
