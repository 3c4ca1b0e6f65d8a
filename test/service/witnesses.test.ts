import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkpointText, openCheckpoint } from '../../src/base/checkpoint.ts'
import { sha256 } from '../../src/base/digest.ts'
import { signNote, vkeyOf } from '../../src/base/note.ts'
import { readKeyFile } from '../../src/engines/receipt-key.ts'
import { makeStore } from '../../src/engines/store.ts'
import { startSweeps } from '../../src/jobs/sweeps.ts'
import { rememberSize, sizeOfWitness } from '../../src/ledger/cosigning/queries.ts'
import { witnessedKey } from '../../src/ledger/cosigning/witnessed.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { beginLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { numberEntries, numberedSize } from '../../src/ledger/log/queries.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { sweeps } from '../../workers/sweeps.ts'
import { cosigners, grow, logOf, logVkey, outcomes, withWitnesses } from '../cosigned.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { faultyStore, refuses } from '../faulty-store.ts'
import { hostileWitness, lineBy, says, sizeIn } from '../hostile-witness.ts'
import { writeEntries } from '../logged.ts'
import { eventually } from '../system.ts'
import { spawnWitness } from '../witness-process.ts'
import { hashOf, startWitness, temporaryFolder } from '../witnessing.ts'

let engines: TestEngines
let place: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  engines = await testEngines()
  place = await temporaryFolder()
  await beginLog(engines)
})
afterEach(async () => {
  await engines[Symbol.asyncDispose]()
  await place[Symbol.asyncDispose]()
})

const stored = async ({ store }: TestEngines, size: number): Promise<string | undefined> =>
  (await store.readWhole('ledger', witnessedKey(1, size)))?.toString()

const witnessedSizes = async ({ store }: TestEngines): Promise<number[]> =>
  (await store.list('ledger', '1/witnessed/')).map((key) => Number(key.split('/').at(-1)))

/** A witness in this process that watches the log of these engines, and its line of LEDGER_WITNESSES. */
const witnessFor = async (of: TestEngines, name: string) => {
  const data = join(place.path, name.replaceAll('/', '-'))
  const witness = await startWitness({ data, name, logs: [await logVkey(of.db)] })
  return { ...witness, entry: `${vkeyOf(witness.key)} ${witness.url}` }
}

describe('a witness that others run', () => {
  test('cosigns each newest checkpoint, which is then served and stored with its line', async () => {
    await using witness = await spawnWitness({ data: join(place.path, 'w1'), logs: [await logVkey(engines.db)] })
    const own = withWitnesses(engines, `${witness.vkey} ${witness.url}/`)
    expect(await cosignNewest(own)).toBe(0) // Nothing is published yet.

    for (const entries of [0, 5, 300, 1, 1]) {
      const size = await grow(own, entries)
      expect(await cosigners(own, size)).toEqual([])
      expect(await cosignNewest(own)).toBe(1)
      expect(await cosigners(own, size)).toEqual(['witness.example/w1'])
      const checkpoint = await newestCheckpoint(own.db, 1)
      const log = logKeyOf(await logOf(own.db))
      expect(openCheckpoint(checkpoint?.note ?? '', log)).toMatchObject({ origin: log.name, size })
      expect(await stored(own, size)).toBe(checkpoint?.note)
      const kept = await witness.newest(hashOf(log.name))
      expect(openCheckpoint(kept.text, log)?.size).toBe(size)
      expect(await cosignNewest(own)).toBe(0)
    }
    expect(await witnessedSizes(own)).toEqual([306, 307, 308])
    expect(await outcomes(own, 'witness.example/w1')).toEqual({ cosigned: 5 })
  })

  test('has its line beside those of others, and one that is away holds nobody up', async () => {
    await using one = await witnessFor(engines, 'witness.example/one')
    await using two = await witnessFor(engines, 'witness.example/two')
    const gone = await hostileWitness(says(200, ''))
    await gone[Symbol.asyncDispose]()
    const own = withWitnesses(engines, one.entry, gone.entry, two.entry)
    const size = await grow(engines, 4)
    expect(await cosignNewest(own)).toBe(2)
    expect(await cosigners(own, size)).toEqual(['witness.example/one', 'witness.example/two'])
    // In the store their lines stand in the order in which they came.
    const lines = (note = '') => note.split('\n').sort()
    expect(lines(await stored(own, size))).toEqual(lines((await newestCheckpoint(own.db, 1))?.note))
    expect(await outcomes(own, 'witness.example/hostile')).toEqual({ unreachable: 1 })
  })

  test('is asked again from the size that it has, whatever was remembered here', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    const own = withWitnesses(engines, witness.entry)
    const vkey = vkeyOf(witness.key)
    await grow(own, 4)
    expect(await cosignNewest(own)).toBe(1)
    for (const remembered of [0, 2, 5, 6, 999]) {
      await rememberSize(own.db, vkey, 1, remembered)
      const size = await grow(own, 3)
      expect(await cosignNewest(own)).toBe(1)
      expect(await cosigners(own, size)).toHaveLength(1)
      expect(await sizeOfWitness(own.db, vkey, 1)).toBe(size)
    }
  })

  test('that began anew is shown the log from its beginning', async () => {
    let has = 0
    await using witness = await hostileWitness(({ body, text }, response) => {
      const [, old] = /^old (\d+)\n/.exec(body) ?? []
      if (old !== String(has))
        return void response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(`${has}\n`)
      has = sizeIn(text)
      response.end(lineBy(witness.key, text))
    })
    const own = withWitnesses(engines, witness.entry)
    await grow(engines, 4)
    expect(await cosignNewest(own)).toBe(1)
    has = 0
    await grow(engines, 4)
    expect(await cosignNewest(own)).toBe(1)
    expect(witness.submissions().map(({ body }) => body.split('\n')[0])).toEqual(['old 0', 'old 5', 'old 0'])
  })

  test('is shown checkpoints by the sweep of any worker', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    const own = withWitnesses(engines, witness.entry)
    const size = await grow(own, 2)
    const ours = sweeps.filter(({ run }) => run === cosignNewest)
    expect(ours).toMatchObject([{ everySeconds: 10 }])
    const end = new AbortController()
    const sweeping = startSweeps(own, ours, end.signal)
    await eventually('the cosignature', async () => ((await cosigners(own, size)).length > 0 ? true : undefined))
    end.abort()
    await sweeping
  })

  test('signs, and the store is away: it is asked again, and nothing is lost', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    const size = await grow(engines, 3)
    await using store = await faultyStore(engines.config.S3_ENDPOINT)
    // On the same database and bucket, by way of a store that fails.
    const through = makeStore({ ...engines.config, S3_ENDPOINT: store.endpoint, S3_TIMEOUT_SECONDS: 1 })
    const own = withWitnesses({ ...engines, store: through }, witness.entry)
    const trap = store.on('put of the log', refuses(503))
    await expect(cosignNewest(own)).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(await cosigners(own, size)).toEqual([])
    trap.lift()
    expect(await cosignNewest(own)).toBe(1)
    expect(await stored(own, size)).toBe((await newestCheckpoint(own.db, 1))?.note)
    through.close()
  })
})

describe('a database that is older than the log', () => {
  /** The log with the same key and name on another database, as after a restore of the database and the store. */
  const restored = async (entries: number) => {
    const { LOG_KEY_FILE = '' } = engines.environment
    const other = await testEngines({ env: { LOG_KEY_FILE, LOG_ORIGIN: (await logOf(engines.db)).origin } })
    await beginLog(other)
    await grow(other, entries)
    return other
  }

  test('is halted in words when a witness shows a larger checkpoint, and nothing is added until somebody has looked', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    await grow(engines, 9)
    expect(await cosignNewest(withWitnesses(engines, witness.entry))).toBe(1)

    await using older = await restored(3)
    const own = withWitnesses(older, witness.entry)
    expect(await cosignNewest(own)).toBe(0)
    const { halted } = await logOf(own.db)
    expect(halted).toBe(
      'The witness witness.example/one holds a checkpoint of 10 leaves that this log signed, and this database has 4: it is an older one. Run exhibit ledger recover.',
    )
    await writeEntries(own, 5)
    expect(await sequence(own)).toBe(0)
    expect((await newestCheckpoint(own.db, 1))?.size).toBe(4)
    expect(await cosignNewest(own)).toBe(0)
    expect((await logOf(own.db)).halted).toBe(halted)
  })

  test('and was restored together with its bucket is halted before anything is added to it', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    await grow(engines, 9)
    expect(await cosignNewest(withWitnesses(engines, witness.entry))).toBe(1)

    await using older = await restored(3)
    await writeEntries(older, 20)
    const own = withWitnesses(older, witness.entry)
    expect(await sequence(own)).toBe(0)
    expect(await numberedSize(own.db, 1)).toBe(4)
    expect((await logOf(own.db)).halted).toMatch(/^The witness witness.example\/one holds a checkpoint of 10 leaves/)
    expect((await newestCheckpoint(own.db, 1))?.size).toBe(4)
  })

  test('is found out by what a witness signed, though it lies in the bucket alone', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    await grow(engines, 9)
    expect(await cosignNewest(withWitnesses(engines, witness.entry))).toBe(1)
    const note = Buffer.from((await stored(engines, 10)) ?? '')

    await using older = await restored(3)
    await writeEntries(older, 20)
    await older.store.put('ledger', witnessedKey(1, 10), note, sha256(note))
    expect(await sequence({ ...older })).toBe(0)
    expect((await logOf(older.db)).halted).toMatch(/witnessed.*in the ledger bucket holds a checkpoint of 10 leaves/)
  })

  test('may be one of those to whom no witness answers: a process adds nothing before one does, and that is said', async () => {
    const silent = await hostileWitness(says(200, ''))
    await silent[Symbol.asyncDispose]()
    await grow(engines, 1)
    await writeEntries(engines, 3)
    const own = withWitnesses(engines, silent.entry)
    await expect(sequence(own)).rejects.toThrow(/no witness says .*witness.example\/hostile/)
    expect(await numberedSize(own.db, 1)).toBe(2)
    expect((await logOf(own.db)).halted).toBeNull()
    await using witness = await witnessFor(engines, 'witness.example/one')
    const again = withWitnesses(engines, silent.entry, witness.entry)
    expect(await cosignNewest(again)).toBe(1)
    expect(await sequence(again)).toBe(3)
    // Once it has asked, none holds it up.
    await witness[Symbol.asyncDispose]()
    await writeEntries(engines, 2)
    expect(await sequence(again)).toBe(2)
  })

  test('is halted too when it grew past what the witness saw, and became another history', async () => {
    await using witness = await witnessFor(engines, 'witness.example/one')
    await grow(engines, 5)
    expect(await cosignNewest(withWitnesses(engines, witness.entry))).toBe(1)

    await using forked = await restored(12)
    const own = withWitnesses(forked, witness.entry)
    expect(await cosignNewest(own)).toBe(0)
    expect((await logOf(own.db)).halted).toMatch(/holds a checkpoint of 6 leaves that this log signed.*two histories/)
    expect(await cosigners(own, 13)).toEqual([])
  })

  test('is not one that is about to publish what the witness saw', async () => {
    const log = await logOf(engines.db)
    const { privateKey } = await readKeyFile(engines.config.LOG_KEY_FILE)
    const head = { origin: log.origin, size: 8, root: Buffer.alloc(32, 1) }
    const larger = signNote(checkpointText(head), logKeyOf(log), privateKey)
    await using witness = await hostileWitness(({ method }, response) => {
      if (method === 'POST') response.writeHead(409).end('8\n')
      else response.end(larger)
    })
    const own = withWitnesses(engines, witness.entry)
    expect(await grow(engines, 2)).toBe(3)
    await writeEntries(own, 5)
    expect(await numberEntries(own.db, 100)).toBe(5)
    expect(await cosignNewest(own)).toBe(0)
    expect((await logOf(own.db)).halted).toBeNull()
    expect(await outcomes(own, witness.key.key.name)).toEqual({})
    await writeEntries(own, 1)
    expect(await sequence(own)).toBeGreaterThan(0)
  })

  test('is not one that published more while the witness was asked', async () => {
    await using witness = await hostileWitness((_asked, response) => {
      void grow(engines, 4).then((size) => response.writeHead(409).end(`${size}\n`))
    })
    const own = withWitnesses(engines, witness.entry)
    await grow(engines, 2)
    expect(await cosignNewest(own)).toBe(0)
    expect((await logOf(own.db)).halted).toBeNull()
    expect(await outcomes(own, witness.key.key.name)).toEqual({})
    expect(witness.asked).toHaveLength(1)
  })
})
