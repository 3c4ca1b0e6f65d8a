import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { checkpointText, cosignedAt, openCheckpoint } from '../../src/base/checkpoint.ts'
import { parseNote } from '../../src/base/note.ts'
import { growth, makeNoteKey, makeSmallLog, type SmallLog } from '../small-log.ts'
import { hashOf, startWitness, temporaryFolder } from '../witnessing.ts'

// Each waits for disks.
vi.setConfig({ testTimeout: 30_000 })

let place: Awaited<ReturnType<typeof temporaryFolder>>
let count = 0

beforeAll(async () => {
  place = await temporaryFolder()
})
afterAll(async () => await place[Symbol.asyncDispose]())

const folder = () => join(place.path, `w${++count}`)

/** A witness of one log, of which it has cosigned nothing yet. */
const witnessed = async (log: SmallLog, more: Partial<Parameters<typeof startWitness>[0]> = {}) =>
  await startWitness({ data: folder(), logs: [log.signer.vkey], ...more })

describe('many at once', () => {
  test('of requests that race from one size exactly one is cosigned, and it is the one that is kept', async () => {
    const log = makeSmallLog('log.example/one')
    await using witness = await witnessed(log)
    let old = 0
    for (let round = 0; round < 10; round++) {
      const sizes = Array.from({ length: 5 }, (_, index) => old + 1 + index)
      const bodies = await Promise.all(sizes.map(async (size) => await growth(log, old, size)))
      const answers = await Promise.all(bodies.toReversed().map(async (body) => await witness.add(body)))
      const won = sizes.toReversed().filter((_, index) => answers[index]?.status === 200)
      expect(won).toHaveLength(1)
      expect(answers.filter(({ status }) => status === 409).map(({ text }) => text)).toEqual(
        Array.from({ length: 4 }, () => `${won[0]}\n`),
      )
      old = won[0] ?? 0
      expect(openCheckpoint((await witness.newest(log.origin)).text, log.signer.key)?.size).toBe(old)
    }
  })

  test('a fork that races with the truth cannot be cosigned beside it', async () => {
    const signer = makeNoteKey('log.example/one')
    const [log, fork] = ['leaf', 'another leaf'].map((leaves) => makeSmallLog('log.example/one', leaves, signer))
    if (log === undefined || fork === undefined) throw new Error('there are two')
    for (let round = 0; round < 5; round++) {
      await using witness = await witnessed(log)
      const bodies = await Promise.all([log, fork].map(async (each) => await growth(each, 0, 6)))
      const answers = await Promise.all(bodies.map(async (body) => await witness.add(body)))
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409])
    }
  })
})

describe('time', () => {
  const at = (seconds: number) => {
    const time = { seconds }
    return {
      time,
      clock: {
        now: () => new Date(time.seconds * 1000),
        instant: () => Temporal.Instant.fromEpochMilliseconds(time.seconds * 1000),
      },
    }
  }

  test('a larger tree never has an earlier time than a smaller one, and a clock that was set back far is not used', async () => {
    const log = makeSmallLog('log.example/one')
    const { time, clock } = at(1_800_000_000)
    await using witness = await witnessed(log, { clock })
    const timeOf = async (old: number, size: number) => {
      const { status, text } = await witness.add(await growth(log, old, size))
      const note = parseNote(`${checkpointText(log.headAt(size))}\n${text}`)
      const [line] = note?.signatures ?? []
      return line === undefined || note === null ? status : cosignedAt(note.text, line, witness.key)
    }
    expect(await timeOf(0, 1)).toBe(1_800_000_000)
    time.seconds -= 30
    expect(await timeOf(1, 2)).toBe(1_800_000_000)
    time.seconds -= 3600
    expect(await timeOf(2, 3)).toBe(503)
    expect(await timeOf(3, 3)).toBe(409)
    time.seconds += 7200
    expect(await timeOf(2, 3)).toBe(time.seconds)
  })

  test('asked again within a second it gives the same line, and writes nothing', async () => {
    const log = makeSmallLog('log.example/one')
    const data = folder()
    await using witness = await witnessed(log, { data, clock: at(1_800_000_000).clock })
    const first = await witness.add(await growth(log, 0, 5))
    // Where it would be written beside, nothing can be.
    await mkdir(join(data, 'witness/logs', `${hashOf(log.origin)}.new`))
    expect(await witness.add(await growth(log, 5, 5))).toEqual(first)
  })
})

describe('what it keeps', () => {
  const record = (data: string, origin: string) => join(data, 'witness/logs', hashOf(origin))

  /** The folder of a witness that cosigned 5 leaves of a log, and ended. */
  const used = async () => {
    const log = makeSmallLog('log.example/one')
    const data = folder()
    const logs = [log.signer.vkey]
    await using witness = await startWitness({ data, logs })
    await witness.add(await growth(log, 0, 5))
    return { log, data, logs, key: witness.key, start: async () => await startWitness({ data, logs }) }
  }

  test('its key and what it has seen outlive it', async () => {
    const { log, key, start } = await used()
    await using witness = await start()
    expect(witness.key).toEqual(key)
    expect(await witness.add(await growth(log, 0, 7))).toMatchObject({ status: 409, text: '5\n' })
    expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 200 })
  })

  test('a log that it no longer watches is still served, and nothing more of it cosigned', async () => {
    const { log, data } = await used()
    await using witness = await startWitness({ data, logs: [makeNoteKey('log.example/other').vkey] })
    expect(await witness.newest(log.origin)).toMatchObject({ status: 200 })
    expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 404 })
  })

  test('what cannot be written is not signed', async () => {
    const { log, data, start } = await used()
    await using witness = await start()
    const aside = `${record(data, log.origin)}.new`
    await mkdir(aside)
    const answer = await witness.add(await growth(log, 5, 7))
    expect(answer).toMatchObject({ status: 500 })
    expect(answer.text).not.toContain('—')
    expect(answer.text).not.toContain(data)
    expect(openCheckpoint((await witness.newest(log.origin)).text, log.signer.key)?.size).toBe(5)
    await rm(aside, { recursive: true })
    expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 200 })
  })

  test('it does not start when a record is cut, altered, exchanged or gone', async () => {
    const { log, data, start } = await used()
    const file = record(data, log.origin)
    const note = await readFile(file, 'utf8')
    const another = await used()
    const damages: Record<string, string> = {
      cut: note.slice(0, -10),
      empty: '',
      'with another size': note.replace('\n5\n', '\n4\n'),
      'of another witness': await readFile(record(another.data, another.log.origin), 'utf8'),
      'without its own signature': log.noteAt(5),
    }
    for (const [what, text] of Object.entries(damages)) {
      await writeFile(file, text)
      await expect(start(), what).rejects.toThrow(/is damaged.*Put back what was there/)
    }
    await rm(file)
    await expect(start()).rejects.toThrow(/log.example\/one is missing/)
    await writeFile(file, note)
    await writeFile(record(data, 'log.example/two'), note)
    await expect(start()).rejects.toThrow(/is damaged/)
    await rm(record(data, 'log.example/two'))
    await using witness = await start()
    expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 200 })
  })

  test('it does not start without its key or its list of logs, nor with others', async () => {
    const { data, start } = await used()
    const [key, list] = [join(data, 'witness/key.json'), join(data, 'witness/witness.json')]
    const texts = { key: await readFile(key, 'utf8'), list: await readFile(list, 'utf8') }
    const other = await used()
    await rm(key)
    await expect(start()).rejects.toThrow(/key.json cannot be read: put back/)
    await writeFile(key, '{}')
    await expect(start()).rejects.toThrow(/key.json cannot be read: put back/)
    await writeFile(key, await readFile(join(other.data, 'witness/key.json'), 'utf8'))
    await expect(start()).rejects.toThrow(/is not the one that this witness was made with/)
    await writeFile(key, texts.key)
    await rm(list)
    await expect(start()).rejects.toThrow(/witness.json is missing/)
    await writeFile(list, texts.list.slice(0, 20))
    await expect(start()).rejects.toThrow(/put back what was there/)
    await writeFile(list, texts.list)
    await using witness = await start()
    expect(witness.key).not.toEqual(other.key)
  })

  test('it does not start under another name: its key has one for ever', async () => {
    const { data, logs } = await used()
    await expect(startWitness({ data, logs, name: 'witness.example/w2' })).rejects.toThrow(
      /has the name witness.example/,
    )
  })

  test('two do not run in one folder', async () => {
    const { start } = await used()
    const first = await start()
    await expect(start()).rejects.toThrow(/already running/)
    await first[Symbol.asyncDispose]()
    await using second = await start()
    expect(second.url).toMatch(/^http/)
  })

  test('a start that was killed, and a write that was, leave nothing behind that matters', async () => {
    const { log, data, start } = await used()
    const list = join(data, 'witness/witness.json')
    // Killed between a log's first record and the list, and in the middle of a later record.
    await writeFile(list, (await readFile(list, 'utf8')).replace('"log.example/one"', ''))
    await writeFile(`${record(data, log.origin)}.new`, 'half a rec')
    await mkdir(join(data, 'witness.new-1234'))
    const witness = await start()
    expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 200 })
    await witness[Symbol.asyncDispose]()
    expect(await readFile(list, 'utf8')).toContain('log.example/one')
    expect(await readdir(join(data, 'witness/logs'))).toEqual([hashOf(log.origin)])
  })

  test('a record that is damaged while it runs stops it from signing, and it says so', async () => {
    const { log, data, start } = await used()
    await using witness = await start()
    const file = record(data, log.origin)
    const note = await readFile(file, 'utf8')
    for (const damage of [async () => await rm(file), async () => await writeFile(file, note.slice(1))]) {
      await damage()
      expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 500 })
      expect(await witness.add(await growth(log, 0, 7))).toMatchObject({ status: 500 })
      expect(await witness.newest(log.origin)).toMatchObject({ status: 500 })
    }
    expect(witness.lines.at(-1)).toMatchObject({ level: 50, msg: expect.stringContaining('Put back what was there') })
    await writeFile(file, note)
    expect(await witness.add(await growth(log, 5, 7))).toMatchObject({ status: 200 })
  })
})
