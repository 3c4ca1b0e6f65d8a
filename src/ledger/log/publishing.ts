import { checkpointText } from '../../base/checkpoint.ts'
import { sha256 } from '../../base/digest.ts'
import { type HashAt, leafHash, rootAt, rootOf } from '../../base/merkle.ts'
import { signNote } from '../../base/note.ts'
import { entryBundle, fullWidth, type Tile, tilePath, tilesSince } from '../../base/tiles.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { brokeConstraint } from '../../engines/postgres.ts'
import { readKeyOf } from '../../engines/signing-key.ts'
import { Contradiction, checkpointKey, type Stored } from './head.ts'
import { logKeyOf, publicX } from './log.ts'
import { leafData } from './queries.ts'
import { hashesOf, logKey } from './tree.ts'

type Reached = Pick<Engines, 'clock' | 'config' | 'db' | 'store'>

const atOnce = 8

/** A few at once. */
export const inTurns = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
  const left = items.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of left) await work(item)
    }),
  )
}

/** Stores what must be there: where something is there already, it must be the same. */
const putSame = async ({ store }: Reached, key: string, bytes: Buffer): Promise<void> => {
  if (await store.putNew('ledger', key, bytes, sha256(bytes))) return
  const there = await store.readWhole('ledger', key)
  if (there === null) throw new Error('the store refused an object and does not hold it')
  if (!there.equals(bytes))
    throw new Contradiction(
      `The store holds other bytes under ${key} than the database gives. Run exhibit ledger audit.`,
    )
}

/** Leaf data from the first leaf of the tile in which `from` is, up to `to`. */
const readLeaves = async ({ db }: Reached, log: number, from: number, to: number): Promise<Buffer[]> => {
  const leaves = await leafData(db, log, from, to)
  return leaves.map((leaf, at) => {
    if (leaf !== null) return leaf
    throw new Contradiction(`The entry of leaf ${from + at} is no longer in the database. Run exhibit ledger audit.`)
  })
}

/** Hashes of whole tiles that are new, by tile level, before those that are published. */
const growing = (leaves: readonly Buffer[], first: number, published: HashAt) => {
  const fresh = new Map<string, Buffer>()
  leaves.forEach((leaf, at) => {
    fresh.set(`0/${first + at}`, leafHash(leaf))
  })
  const row = async (level: number, index: number): Promise<Buffer> =>
    fresh.get(`${level}/${index}`) ?? (await published(8 * level, index))
  const hashAt: HashAt = async (level, index) => {
    const below = level % 8
    const tileLevel = (level - below) / 8
    const hashes = await Promise.all(
      Array.from({ length: 2 ** below }, async (_, n) => await row(tileLevel, index * 2 ** below + n)),
    )
    return rootOf(hashes)
  }
  return { fresh, row, hashAt }
}

type Growing = ReturnType<typeof growing>
type Made = { tile: Tile; bytes: Buffer }

/** The tiles that the tree gains, level by level: the hash of a full one is there when the level above needs it. */
const makeTiles = async (
  from: number,
  to: number,
  leaves: readonly Buffer[],
  { fresh, row }: Growing,
): Promise<Made[]> => {
  const first = to - leaves.length
  const made: Made[] = []
  for (const tile of tilesSince(from, to)) {
    const start = tile.index * fullWidth
    if (tile.kind === 'entries') {
      made.push({ tile, bytes: entryBundle(leaves.slice(start - first, start - first + tile.width)) })
      continue
    }
    const hashes = await Promise.all(
      Array.from({ length: tile.width }, async (_, n) => await row(tile.level, start + n)),
    )
    made.push({ tile, bytes: Buffer.concat(hashes) })
    if (tile.width === fullWidth) fresh.set(`${tile.level + 1}/${tile.index}`, rootOf(hashes))
  }
  return made
}

/** Signs the checkpoint and lets it be known: in the store first, by which an older database is known to be old. */
const sign = async (engines: Reached, log: LogRow, { size, root }: Stored): Promise<void> => {
  const { privateKey } = await readKeyOf(engines.config.LOG_KEY_FILE, publicX(log))
  const note = signNote(checkpointText({ origin: log.origin, size, root }), logKeyOf(log), privateKey)
  await putSame(engines, checkpointKey(log.number, size), Buffer.from(note))
  await engines.db
    .insertInto('checkpoints')
    .values({ log: log.number, size, root, note, at: engines.clock.now() })
    .execute()
    .catch((error: unknown) => {
      // Another process published as much, or more, while this one stood still.
      if (!brokeConstraint(error)) throw error
    })
}

/**
 * Brings the numbered leaves up to `to` under a checkpoint: tiles first, then the signed checkpoint in the store, then its
 * row. Each step may be repeated, by this process or another: the same leaves give the same bytes, and nothing that is there
 * is ever replaced by something else. Throws Contradiction.
 */
export const publish = async (engines: Reached, log: LogRow, from: Stored, to: number): Promise<Stored> => {
  const first = Math.floor(from.size / fullWidth) * fullWidth
  const leaves = await readLeaves(engines, log.number, first, to)
  if (leaves.length !== to - first) throw new Contradiction('Leaves of the log are missing. Run exhibit ledger audit.')
  const tree = growing(leaves, first, hashesOf(engines.store, log.number, from.size))
  if (from.size > 0 && !(await rootAt(from.size, tree.hashAt)).equals(from.root))
    throw new Contradiction(
      `The leaves in the database do not fit the checkpoint of ${from.size} leaves. Run exhibit ledger audit.`,
    )
  const tiles = await makeTiles(from.size, to, leaves, tree)
  const published = { size: to, root: await rootAt(to, tree.hashAt) }
  await inTurns(tiles, async ({ tile, bytes }) => await putSame(engines, logKey(log.number, tilePath(tile)), bytes))
  await sign(engines, log, published)
  return published
}
