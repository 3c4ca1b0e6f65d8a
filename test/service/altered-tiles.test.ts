import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import type { EntryId } from '../../src/base/ids.ts'
import { vkeyOf } from '../../src/base/note.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { beginLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { proofOf, proofsAt } from '../../src/ledger/log/proofs.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { tileServed } from '../../src/ledger/log/serving.ts'
import { recoverLedger } from '../../src/ledger/recover/recover.ts'
import { asRecovering } from '../audited.ts'
import { grow, logOf, logVkey, withWitnesses } from '../cosigned.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { writeEntries } from '../logged.ts'
import { startWitness, temporaryFolder } from '../witnessing.ts'

let engines: TestEngines
beforeEach(async () => {
  engines = await testEngines()
  await beginLog(engines)
})
afterEach(async () => await engines[Symbol.asyncDispose]())

const stored = async (path: string): Promise<Buffer> => {
  const bytes = await engines.store.readWhole('ledger', `1/${path}`)
  if (bytes === null) throw new Error(`the store has no ${path}`)
  return bytes
}

/** Somebody who may write to the bucket changes one bit; answers what was there. */
const alter = async (path: string, at: number): Promise<Buffer> => {
  const right = await stored(path)
  const wrong = Buffer.from(right.map((byte, n) => (n === at ? byte ^ 1 : byte)))
  await engines.store.put('ledger', `1/${path}`, wrong, sha256(wrong))
  return right
}

/** As docs/operate.md says, in a process of its own. */
const mend = async (path: string): Promise<void> => {
  await engines.store.delete('ledger', `1/${path}`)
  await using recovering = asRecovering(engines, engines.ownerUrl)
  await recoverLedger(recovering, { write: true })
}

const published = async (count: number): Promise<EntryId[]> => {
  const entries = await writeEntries(engines, count)
  await sequence(engines)
  return entries
}

const expectProof = async (text: string | undefined, entry: EntryId): Promise<void> => {
  const query = engines.db.selectFrom('entries').select('leaf').where('id', '=', entry)
  const { leaf } = await query.executeTakeFirstOrThrow()
  const proof = text === undefined ? null : parseProof(text)
  expect(proof === null ? null : verifyProof(proof, leaf, logKeyOf(await logOf(engines.db)))).toHaveProperty('head')
}

describe('while a tile of the log is altered in the store, and after it was mended', () => {
  test('a proof that does not hold is given to nobody, and the same process gives the right one after', async () => {
    const [entry, other] = (await published(600)).slice(100)
    if (entry === undefined || other === undefined) throw new Error('nothing was written')
    const checkpoint = await newestCheckpoint(engines.db, 1)
    if (checkpoint === undefined) throw new Error('nothing was published')
    await alter('tile/0/000', 40)
    await expect(proofOf(engines, entry)).rejects.toThrow(new RegExp(`does not prove entry ${entry}`))
    await expect(proofsAt(engines, checkpoint, [entry, other])).rejects.toThrow(/does not prove entry/)
    await mend('tile/0/000')
    const answer = await proofOf(engines, entry)
    await expectProof('proof' in answer ? answer.proof : undefined, entry)
    const proofs = await proofsAt(engines, checkpoint, [entry, other])
    for (const each of [entry, other]) await expectProof(proofs.get(each), each)
  })

  test('what does not stand on it is proven meanwhile', async () => {
    const [entry, late] = (await published(600)).filter((_, n) => n === 100 || n === 500)
    if (entry === undefined || late === undefined) throw new Error('nothing was written')
    // Of the first tile, the proof of a leaf in the second has only the hash over it, which lies in the tile above.
    await alter('tile/0/000', 40)
    await expect(proofOf(engines, entry)).rejects.toThrow()
    const answer = await proofOf(engines, late)
    await expectProof('proof' in answer ? answer.proof : undefined, late)
  })

  test('a tile is served as the store has it', async () => {
    await published(300)
    const right = await alter('tile/0/000', 40)
    expect((await tileServed(engines, 'tile/0/000')).equals(right)).toBe(false)
    await mend('tile/0/000')
    expect((await tileServed(engines, 'tile/0/000')).equals(right)).toBe(true)
  })

  test('no witness is shown a growth that does not hold, and the log is not halted for it', async () => {
    await using place = await temporaryFolder()
    await using witness = await startWitness({ data: place.path, logs: [await logVkey(engines.db)] })
    const own = withWitnesses(engines, `${vkeyOf(witness.key)} ${witness.url}`)
    await grow(own, 300)
    expect(await cosignNewest(own)).toBe(1)
    await grow(own, 300)
    await alter('tile/0/001', 40)
    await expect(cosignNewest(own)).rejects.toThrow(/does not make up its checkpoint of 60\d leaves/)
    expect((await logOf(own.db)).halted).toBeNull()
    await mend('tile/0/001')
    expect(await cosignNewest(own)).toBe(1)
    expect((await logOf(own.db)).halted).toBeNull()
  })
})
