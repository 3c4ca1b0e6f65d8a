import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkpointText } from '../../src/base/checkpoint.ts'
import { sha256 } from '../../src/base/digest.ts'
import type { EntryId } from '../../src/base/ids.ts'
import { signNote } from '../../src/base/note.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { readKeyFile } from '../../src/engines/receipt-key.ts'
import { currentLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { proofOf } from '../../src/ledger/log/proofs.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { isNeeded, type RecoverWish } from '../../src/ledger/recover/recover.ts'
import { auditOf, foundIn } from '../audited.ts'
import { past } from '../audited-log.ts'
import { writeEntries } from '../logged.ts'
import {
  backedUp,
  haltedIn,
  keptBy,
  makeRestored,
  publishedSince,
  type Restored,
  recover,
  stateOf,
  waitingThen,
} from '../restored.ts'

const nobody = '00000000-0000-7000-8000-000000000000' as EntryId
const full = backedUp + publishedSince
const firstLost = backedUp + waitingThen

describe('a database that was restored', () => {
  let restored: Restored
  beforeAll(async () => {
    restored = await makeRestored()
  }, 120_000)
  afterAll(async () => await restored[Symbol.asyncDispose]())

  test('stops the log in words before anything is numbered, and the entries that still come wait', async () => {
    const { engines } = restored
    await writeEntries(engines, 7)
    expect(await sequence(engines)).toBe(0)
    expect(await haltedIn(restored)).toMatch(
      /published with 601 leaves and this database has 301.*exhibit ledger recover/,
    )
    expect(await stateOf(engines)).toMatchObject({ leaves: { length: backedUp }, waiting: { length: waitingThen + 7 } })
  })

  test('is found by the audit, which says what to run', async () => {
    const { findings } = await auditOf(restored.engines)
    expect(findings.map(({ kind }) => kind).toSorted()).toEqual(['database-behind', 'log-halted'])
    expect(findings.find(({ kind }) => kind === 'database-behind')).toMatchObject({
      ...{ count: publishedSince, first: { index: backedUp, size: full } },
      next: expect.stringContaining('exhibit ledger recover'),
    })
  })

  test('is recovered dry at first: what would be done is said, and nothing is', async () => {
    const before = await stateOf(restored.engines)
    const found = await recover(restored)
    expect(isNeeded(found)).toBe(true)
    expect(found).toMatchObject({
      ...{ has: backedUp, checkpoint: { size: full }, stays: null, unasked: [], aside: 0 },
      missing: { leaves: publishedSince, first: backedUp, last: full - 1 },
      lost: { leaves: publishedSince - waitingThen, first: firstLost, last: full - 1 },
    })
    expect(found.entry).toBeUndefined()
    expect(await stateOf(restored.engines)).toEqual(before)
  })

  test('is recovered: entries that were kept have their own leaves again, of the others the leaf data is kept', async () => {
    const { engines, waiting, newest } = restored
    const { entry = nobody } = await recover(restored, { write: true })
    expect(await haltedIn(restored)).toBeNull()
    const { leaves, lost, checkpoints } = await stateOf(engines)
    expect(leaves.map(({ index }) => index)).toEqual(Array.from({ length: full }, (_, n) => n))
    // Of one moment they may have been numbered in another order than they were written.
    expect(leaves.slice(backedUp, firstLost).map(({ entry }) => entry)).toEqual(waiting.toSorted())
    expect(leaves.slice(firstLost).every(({ entry }) => entry === null)).toBe(true)
    expect(lost.map(({ index }) => index)).toEqual(leaves.slice(firstLost).map(({ index }) => index))
    expect(checkpoints.at(-1)).toMatchObject({ size: full, root: newest.root, note: newest.note })
    const body = await engines.db.selectFrom('entryBodies').selectAll().where('id', '=', entry).executeTakeFirst()
    expect(body).toMatchObject({ operation: 'administration', action: 'ledger.recovered', actorKind: 'operator' })
    expect(body?.parts.detail?.value).toMatchObject({
      ...{ had: backedUp, checkpoint: { size: full, root: newest.root.toString('hex') } },
      recovered: { leaves: publishedSince, first: backedUp, last: full - 1 },
      withoutEntry: { leaves: publishedSince - waitingThen, first: firstLost, last: full - 1 },
      halted: expect.stringContaining('it is an older one'),
    })
  })

  test('goes on without a fork: what was published before stays proven, and every entry gets its proof', async () => {
    const { engines, waiting } = restored
    const log = await currentLog(engines.db)
    const [fresh] = await writeEntries(engines, 400)
    // Those that came before the recovery, and the entry of the recovery itself, are leaves now.
    expect(await sequence(engines)).toBe(7 + 1 + 400)
    const report = await auditOf(engines, keptBy(restored))
    expect(report.findings).toEqual([])
    expect(report.logs[0]).toMatchObject({
      size: full + 408,
      lost: publishedSince - waitingThen,
      database: true,
      store: true,
    })
    for (const entry of [waiting[3], fresh]) {
      if (entry === undefined || log === undefined) throw new Error('nothing was written')
      const proof = await proofOf(engines, entry)
      const { leaf } = await engines.db
        .selectFrom('entries')
        .select('leaf')
        .where('id', '=', entry)
        .executeTakeFirstOrThrow()
      const parsed = 'proof' in proof ? parseProof(proof.proof) : null
      expect(parsed === null ? null : verifyProof(parsed, leaf, logKeyOf(log))).toHaveProperty('head')
    }
  })

  test('and nobody may call another entry lost that was deleted since', async () => {
    const { old } = restored
    const { rows } = await old.owner.query<{ entry: string }>(
      `select entry from leaves where index in (${firstLost - 5}, 700) order by index`,
    )
    const [within, beyond] = rows.map(({ entry }) => entry)
    const gone = async (index: number, entry: string | undefined) => {
      const leaf = `select 1, ${index}, leaf from entries where id = '${entry}'`
      await past(old, 'leaves', [`update leaves set entry = null where index = ${index}`])
      await old.owner.query(`insert into lost_leaves ${leaf}`)
      await past(old, 'entry_bodies', [`delete from entry_bodies where id = '${entry}'`])
      await past(old, 'entries', [`delete from entries where id = '${entry}'`])
    }
    await old.owner.query('begin')
    await gone(firstLost - 5, within)
    await gone(700, beyond)
    await old.owner.query('commit')
    expect(foundIn(await auditOf(restored.engines))).toEqual([
      { kind: 'lost-unproven', log: 1, count: 2, index: firstLost - 5 },
    ])
  })

  test('has nothing more to recover', async () => {
    const before = await stateOf(restored.engines)
    const again = await recover(restored, { write: true })
    expect(isNeeded(again)).toBe(false)
    expect(again.entry).toBeUndefined()
    expect(await stateOf(restored.engines)).toEqual(before)
  })
})

describe('what cannot be recovered is refused in words, and nothing is changed', () => {
  let restored: Restored
  beforeAll(async () => {
    restored = await makeRestored()
  }, 120_000)
  afterAll(async () => await restored[Symbol.asyncDispose]())

  const refused = async (words: RegExp, wish: RecoverWish = {}) => {
    const before = await stateOf(restored.engines)
    await expect(recover(restored, { write: true, ...wish })).rejects.toThrow(words)
    expect(await stateOf(restored.engines)).toEqual(before)
  }

  /** Another object until the end of the work. */
  const during = async (key: string, bytes: Buffer | null, work: () => Promise<void>) => {
    const { store } = restored.engines
    const before = await store.readWhole('ledger', key)
    if (bytes === null) await store.delete('ledger', key)
    else await store.put('ledger', key, bytes, sha256(bytes))
    await work()
    if (before === null) await store.delete('ledger', key)
    else await store.put('ledger', key, before, sha256(before))
  }

  test('leaves that are not those that were published', async () => {
    const { old } = restored
    const leaf =
      'update entries set leaf = set_byte(leaf, 5, get_byte(leaf, 5) # 4) where id = (select entry from leaves where index = 77)'
    await past(old, 'entries', [leaf])
    await refused(/differ from leaf 77 on.*Nothing was changed.*exhibit ledger audit/)
    await past(old, 'entries', [leaf])
  })

  test('a database that has lost leaves in the middle', async () => {
    const { old } = restored
    const { rows } = await old.owner.query('select entry from leaves where index = 33')
    await past(old, 'leaves', ['delete from leaves where index = 33'])
    await refused(/Leaf 33 .* is missing in the database.*Nothing was changed/)
    await old.owner.query(`insert into leaves values (1, 33, '${rows[0].entry}')`)
    await old.owner.query(`delete from unsequenced where entry = '${rows[0].entry}'`)
  })

  test('a store whose bundles or tiles are damaged where they are needed', async () => {
    const { store } = restored.engines
    const bundle = (await store.readWhole('ledger', '1/tile/entries/001')) ?? Buffer.alloc(0)
    bundle.writeUInt8(bundle.readUInt8(34 * 200 + 9) ^ 1, 34 * 200 + 9)
    await during(
      '1/tile/entries/001',
      bundle,
      async () => await refused(/holds another root of the first .* leaves.*Nothing was changed/),
    )
    const tile = (await store.readWhole('ledger', '1/tile/0/002.p/89')) ?? Buffer.alloc(0)
    tile.writeUInt8(tile.readUInt8(40) ^ 1, 40)
    await during('1/tile/0/002.p/89', tile, async () => await refused(/Hash tiles .* do not make up .* 601 leaves/))
  })

  test('a stored checkpoint, or one that is given, that the log did not sign', async () => {
    await during(
      '1/checkpoint/0000000000000601',
      Buffer.from('nothing'),
      async () => await refused(/0000000000000601 in the ledger bucket is not signed by this log/),
    )
    await refused(/given\.txt is not signed by this log/, { given: [{ object: 'given.txt', note: 'nothing' }] })
  })

  test('another history under the log’s own signature', async () => {
    const log = await currentLog(restored.engines.db)
    if (log === undefined) throw new Error('there is no log')
    const { privateKey } = await readKeyFile(restored.engines.config.LOG_KEY_FILE)
    const text = checkpointText({ origin: log.origin, size: 200, root: sha256('another') })
    const note = signNote(text, logKeyOf(log), privateKey)
    await refused(/given\.txt holds another root of the first 200 leaves/, { given: [{ object: 'given.txt', note }] })
  })

  test('a database that is older than the last change of the log’s key', async () => {
    await during(
      '2/checkpoint/0000000000000001',
      Buffer.from('x'),
      async () => await refused(/holds log 2, of which this database knows nothing/),
    )
  })
})
