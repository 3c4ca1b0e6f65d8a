// `node scripts/bundle-vector.ts && npm run format`: writes docs/vectors/bundle.zip and bundle.json again, after a change of what
// a bundle holds. test/pure/bundle-vectors.test.ts holds them against what is made here, and docs/verify.md against them.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { bundleVector } from '../test/bundle-vector.ts'

const vectors = path.join(path.dirname(import.meta.dirname), 'docs', 'vectors')
const { zip, described } = bundleVector()
writeFileSync(path.join(vectors, 'bundle.zip'), zip)
writeFileSync(path.join(vectors, 'bundle.json'), `${JSON.stringify(described, null, 2)}\n`)
