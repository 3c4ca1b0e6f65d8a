import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkpointText } from '../../src/base/checkpoint.ts'
import { sha256 } from '../../src/base/digest.ts'
import { signNote } from '../../src/base/note.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { currentLog } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { auditOf, type Database, foundIn } from '../audited.ts'
import { past } from '../audited-log.ts'
import { runCommand, startCommand } from '../command-line.ts'
import type { TestEngines } from '../engines.ts'
import { writeEntries } from '../logged.ts'
import { times } from '../long.ts'
import { backedUp, haltedIn, keptBy, makeRestored, publishedSince, type Restored, stateOf } from '../restored.ts'
import { makeNoteKey } from '../small-log.ts'

const full = backedUp + publishedSince

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exhibit-ledger-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const environmentOf = ({ engines }: { engines: TestEngines }, { url, ownerUrl }: Database): Record<string, string> => ({
  ...engines.environment,
  DATABASE_URL: url,
  DATABASE_OWNER_URL: ownerUrl,
})

type Report = {
  ok: boolean
  logs: object[]
  findings: { kind: string; log: number | null; count: number; first: object }[]
}

describe('exhibit ledger audit', () => {
  let restored: Restored
  let environment: Record<string, string>
  beforeAll(async () => {
    restored = await makeRestored()
    environment = environmentOf(restored, restored.lost)
  }, 120_000)
  afterAll(async () => await restored[Symbol.asyncDispose]())

  const audit = async (...args: string[]) => await runCommand(['ledger', 'audit', ...args], environment)
  const reported = async (...args: string[]): Promise<{ code: number | null; report: Report }> => {
    const { code, out } = await audit('--json', ...args)
    return { code, report: JSON.parse(out) }
  }

  test('finds nothing in a log that nobody touched, and says what it looked at', async () => {
    const { code, out, err } = await audit()
    expect(code).toBe(0)
    expect(out).toMatch(/^✓ log 1, exhibit\.local\/[0-9a-f]+: published with 601 leaves, root [0-9a-f]{64}$/m)
    expect(out).toMatch(/601 leaves in the database make up every checkpoint/)
    expect(out).toMatch(/✓ Everything that was looked at is as it was written\.\n$/)
    expect(err).toMatch(/: 0 % of 601 leaves/)
    const { report } = await reported()
    expect(report).toMatchObject({ ok: true, findings: [], logs: [{ size: full, leaves: full }] })
  })

  test('names a witness that does not say what it has seen', async () => {
    const { vkey } = makeNoteKey('witness.example/away', 4)
    const asking = { ...environment, LEDGER_WITNESSES: `${vkey} http://127.0.0.1:9` }
    const { code, out } = await runCommand(['ledger', 'audit'], asking)
    expect(code).toBe(0)
    expect(out).toContain('? what the witness witness.example/away has seen is not known: it did not say.')
  })

  test('needs the rights of the application alone', async () => {
    const { DATABASE_OWNER_URL: _, ...app } = environment
    expect(await runCommand(['ledger', 'audit'], app)).toMatchObject({ code: 0 })
  })

  test('holds a checkpoint that somebody kept against it, and tells one that is none of its own', async () => {
    const file = join(folder, 'kept.txt')
    await writeFile(file, restored.newest.note)
    expect(await audit('--checkpoint', file)).toMatchObject({ code: 0 })
    const { key, privateKey } = makeNoteKey('elsewhere.example')
    await writeFile(file, signNote(checkpointText({ origin: key.name, size: 5, root: sha256('x') }), key, privateKey))
    const { code, report } = await reported('--checkpoint', file)
    expect(code).toBe(1)
    expect(report.findings).toMatchObject([{ kind: 'given-unsigned', log: null, first: { object: file } }])
    expect(await audit('--checkpoint', join(folder, 'none.txt'))).toMatchObject({ code: 1, out: '' })
  })

  test('ends with 1 on any finding, and says what happened, what is not affected and what to do next', async () => {
    const { lost } = restored
    const { rows } = await lost.owner.query<{ entry: string }>('select entry from leaves where index = 417')
    const entry = rows[0]?.entry
    await past(lost, 'entry_bodies', [
      `update entry_bodies set entry = replace(entry, 'read', 'reaD') where id = '${entry}'`,
    ])
    const { code, out } = await audit()
    const { report } = await reported()
    await past(lost, 'entry_bodies', [
      `update entry_bodies set entry = replace(entry, 'reaD', 'read') where id = '${entry}'`,
    ])
    expect(code).toBe(1)
    expect(out).toContain(`✗ body-changed in log 1: leaf 417, entry ${entry}`)
    for (const words of ['what happened', 'not affected', 'what to do next']) expect(out).toContain(words)
    expect(report).toMatchObject({
      ok: false,
      findings: [{ kind: 'body-changed', log: 1, count: 1, first: { index: 417, entry } }],
    })
  })

  test('says in words that the database or the store does not answer, and is no finding', async () => {
    const gone = { ...environment, DATABASE_URL: 'postgres://a:b@127.0.0.1:9/exhibit' }
    expect(await runCommand(['ledger', 'audit'], gone)).toMatchObject({
      ...{ code: 1, out: '', err: 'The database at DATABASE_URL does not answer.\n' },
    })
    const away = { ...environment, S3_ENDPOINT: 'http://127.0.0.1:9', S3_TIMEOUT_SECONDS: '1' }
    const { code, err } = await runCommand(['ledger', 'audit'], away)
    expect(code).toBe(1)
    expect(err).toMatch(/store/)
    expect(err).not.toMatch(/127\.0\.0\.1|at .*\.ts/)
  })
})

describe('exhibit ledger recover', () => {
  let restored: Restored
  let environment: Record<string, string>
  beforeAll(async () => {
    restored = await makeRestored()
    environment = environmentOf(restored, restored.old)
    await writeEntries(restored.engines, 4)
    await sequence(restored.engines)
  }, 120_000)
  afterAll(async () => await restored[Symbol.asyncDispose]())

  const recover = async (...args: string[]) => await runCommand(['ledger', 'recover', ...args], environment)

  test('tells what it would do and does nothing while nobody says so', async () => {
    const before = await stateOf(restored.engines)
    const { code, out, err } = await recover()
    expect(code).toBe(1)
    expect(out).toMatch(/leaves in this database +301\n/)
    expect(out).toMatch(/whole again up to +601 leaves/)
    expect(out).toMatch(/leaves to be taken over +300 \(leaves 301 to 600\)/)
    expect(out).toMatch(/of these without an entry +280 \(leaves 321 to 600\)/)
    expect(out).toMatch(/why it stands still +The log was published with 601 leaves/)
    expect(err).toMatch(/Nothing was changed: .*--yes\.\n$/)
    expect(await stateOf(restored.engines)).toEqual(before)
    const { code: machine, out: json } = await recover('--json')
    expect(machine).toBe(1)
    expect(JSON.parse(json)).toMatchObject({ has: backedUp, missing: { leaves: publishedSince }, stays: null })
  })

  test('needs the owner of the database', async () => {
    const { DATABASE_OWNER_URL: owner, ...app } = environment
    expect(owner).toBeDefined()
    const { code, err } = await runCommand(['ledger', 'recover', '--yes'], app)
    expect({ code, err }).toEqual({ code: 1, err: 'Set DATABASE_OWNER_URL, or name a data folder with --data.\n' })
  })

  test('killed at any moment it has done nothing or all', async () => {
    const before = await stateOf(restored.engines)
    for (let ms = 300; ; ms = Math.ceil(ms * times(1.5, 1.15))) {
      const command = startCommand(['ledger', 'recover', '--yes', '--json'], environment)
      const timer = setTimeout(() => command.child.kill('SIGKILL'), ms)
      const code = await command.ended
      clearTimeout(timer)
      const { leaves, lost, logs, checkpoints } = await stateOf(restored.engines)
      if (leaves.length === backedUp) {
        expect({ ...before, leaves, lost, logs, checkpoints }).toEqual(before)
        expect(code).toBeNull()
        continue
      }
      expect(leaves).toHaveLength(full)
      expect(checkpoints.at(-1)?.size).toBe(full)
      expect(await haltedIn(restored)).toBeNull()
      break
    }
  }, 240_000)

  test('once recovered the log goes on, the audit finds nothing, and there is nothing more to do', async () => {
    await writeEntries(restored.engines, 40)
    await sequence(restored.engines)
    const report = await auditOf(restored.engines, keptBy(restored))
    expect(foundIn(report)).toEqual([])
    expect((await newestCheckpoint(restored.engines.db, 1))?.size).toBe(full + 4 + 1 + 40)
    expect(await recover('--yes')).toMatchObject({ code: 0, out: 'Nothing is missing, and the log goes on.\n' })
    expect((await currentLog(restored.engines.db))?.halted).toBeNull()
  })
})
