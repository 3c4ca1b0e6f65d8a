import { expect } from 'vitest'
import { openCheckpoint } from '../src/base/checkpoint.ts'
import type { EntryId } from '../src/base/ids.ts'
import { leafHash, rootOf } from '../src/base/merkle.ts'
import { fullWidth, parseEntryBundle, parseTilePath, tilePath } from '../src/base/tiles.ts'
import type { Clock } from '../src/engines/clock.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { LogRow } from '../src/engines/ledger-tables.ts'
import { type Db, inTransaction } from '../src/engines/postgres.ts'
import type { Act } from '../src/ledger/entry.ts'
import { allLogs, logKeyOf } from '../src/ledger/log/log.ts'
import { keysUnder, storedNotes } from '../src/ledger/log/published.ts'
import { tileBytes } from '../src/ledger/log/tree.ts'
import { record } from '../src/ledger/record.ts'

export const someAct: Act = {
  operation: 'consultation',
  action: 'recording.read',
  subject: { type: 'recording', id: '01a2107f-f878-7b43-9c50-4fa401b6f2b1' },
  actor: { kind: 'person', id: 'somebody' },
}

/** Writes so many entries in one transaction. */
export const writeEntries = async ({ db, clock }: { db: Db; clock: Clock }, count: number): Promise<EntryId[]> =>
  await inTransaction(db, async (tx) => {
    const ids: EntryId[] = []
    for (let n = 0; n < count; n++) ids.push(await record(tx, clock, someAct))
    return ids
  })

/** Every hash tile that the store holds is of these leaves, and every checkpoint there is the root of so many of them. */
const proveStored = async (store: Engines['store'], log: LogRow, leaves: Buffer[]): Promise<void> => {
  const rows = [leaves]
  for (let below = leaves; below.length >= fullWidth; below = rows.at(-1) ?? []) {
    const full = Math.floor(below.length / fullWidth)
    rows.push(Array.from({ length: full }, (_, n) => rootOf(below.slice(n * fullWidth, (n + 1) * fullWidth))))
  }
  for await (const key of keysUnder(store, `${log.number}/tile/`)) {
    const tile = parseTilePath(key.slice(`${log.number}/`.length))
    if (tile === null) throw new Error(`${key} is no tile`)
    if (tile.kind === 'entries') continue
    const start = tile.index * fullWidth
    const hashes = (rows[tile.level] ?? []).slice(start, start + tile.width)
    expect((await store.readWhole('ledger', key))?.equals(Buffer.concat(hashes)), key).toBe(true)
  }
  for (const { key, head } of await storedNotes(store, log))
    expect(head?.root.equals(rootOf(leaves.slice(0, head.size))), key).toBe(true)
}

/**
 * Holds against each other what a log must be: leaves from 0 without a gap, every entry at most once, every checkpoint that
 * was ever published the root of a prefix of the same leaves under the log's signature, and the store's leaf data, tiles and
 * checkpoints those of the database. Answers how many leaves the newest checkpoint of the log that grows has.
 */
export const proveLog = async ({ db, store }: Pick<Engines, 'db' | 'store'>): Promise<number> => {
  let published = 0
  for (const log of await allLogs(db)) {
    const leaves = await db
      .selectFrom('leaves')
      .innerJoin('entries', 'entries.id', 'leaves.entry')
      .select(['leaves.index', 'leaves.entry', 'entries.leaf'])
      .where('log', '=', log.number)
      .orderBy('index')
      .execute()
    expect(leaves.map(({ index }) => index)).toEqual(leaves.map((_, n) => n))
    expect(new Set(leaves.map(({ entry }) => entry)).size).toBe(leaves.length)
    const hashes = leaves.map(({ leaf }) => leafHash(leaf))
    const query = db.selectFrom('checkpoints').selectAll().where('log', '=', log.number).orderBy('size')
    const checkpoints = await query.execute()
    for (const { size, root, note } of checkpoints) {
      expect(root.equals(rootOf(hashes.slice(0, size)))).toBe(true)
      expect(openCheckpoint(note, logKeyOf(log))).toEqual({ origin: log.origin, size, root })
    }
    published = checkpoints.at(-1)?.size ?? 0
    const stored: Buffer[] = []
    for (let index = 0; index * 256 < published; index++) {
      const tile = { kind: 'entries', index, width: Math.min(256, published - index * 256) } as const
      const bytes = await tileBytes(store, log.number, tile)
      if (bytes === null) throw new Error(`the store does not hold ${tilePath(tile)}`)
      stored.push(...(parseEntryBundle(bytes) ?? []))
    }
    expect(stored.map((leaf) => leaf.toString('hex'))).toEqual(
      leaves.slice(0, published).map(({ leaf }) => leaf.toString('hex')),
    )
    await proveStored(store, log, hashes)
  }
  return published
}
