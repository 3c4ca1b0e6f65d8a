import { randomInt } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/base/checkpoint.ts'
import { parseVkey } from '../../src/base/note.ts'
import { witnessCommand } from '../../src/cli/witness.ts'
import { runCommand } from '../command-line.ts'
import { growth, makeNoteKey, makeSmallLog } from '../small-log.ts'
import { spawnWitness } from '../witness-process.ts'
import { hashOf, temporaryFolder, witnessName } from '../witnessing.ts'

let place: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  place = await temporaryFolder()
})
afterAll(async () => await place[Symbol.asyncDispose]())

const seconds = 120_000

test(
  'it needs nothing but a folder, tells its address and key in one line, and keeps the key for itself',
  async () => {
    const log = makeSmallLog('log.example/one')
    const data = join(place.path, 'first')
    await using witness = await spawnWitness({ data, logs: [log.signer.vkey] })
    expect(parseVkey(witness.vkey)).toMatchObject({ name: witnessName, type: 4 })
    const answer = await witness.add(await growth(log, 0, 5))
    expect(answer).toMatchObject({ status: 200 })
    expect(answer.text).toMatch(new RegExp(`^— ${witnessName} [A-Za-z0-9+/]{101,}=*\\n$`))
    expect((await stat(join(data, 'witness/key.json'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(data, 'witness'))).mode & 0o777).toBe(0o700)
    expect(await witness.stop()).toBe(0)
    expect(witness.out().trim().split('\n')).toHaveLength(1)
    await using again = await spawnWitness({ data, logs: [log.signer.vkey] })
    expect(again.vkey).toBe(witness.vkey)
    expect(await again.add(await growth(log, 3, 7))).toMatchObject({ status: 409, text: '5\n' })
  },
  seconds,
)

test(
  'killed at any moment, it has not forgotten anything that it ever cosigned',
  async () => {
    const log = makeSmallLog('log.example/one')
    const data = join(place.path, 'killed')
    let cosigned = 0
    for (let life = 0; life < 4; life++) {
      await using witness = await spawnWitness({ data, logs: [log.signer.vkey] })
      const known = await witness.add(await growth(log, 63, 64))
      expect(known.status).toBe(409)
      // It may have kept a checkpoint whose cosignature never got out; never less than one that did.
      let old = Number(known.text)
      expect(old).toBeGreaterThanOrEqual(cosigned)
      const end = old + randomInt(3, 8)
      const killed = witness.killIn(randomInt(1, 40))
      for (; old < end; old++) {
        const answer = await witness.add(await growth(log, old, old + 1)).catch(() => undefined)
        if (answer === undefined) break
        expect(answer).toMatchObject({ status: 200 })
        cosigned = old + 1
      }
      await killed
    }
    await using witness = await spawnWitness({ data, logs: [log.signer.vkey] })
    if (cosigned > 0) {
      const { text } = await witness.newest(hashOf(log.origin))
      expect(openCheckpoint(text, log.signer.key)?.size).toBeGreaterThanOrEqual(cosigned)
    }
    expect(await witness.add(await growth(log, 0, 64))).toMatchObject(cosigned > 0 ? { status: 409 } : {})
  },
  2 * seconds,
)

test(
  'killed between two requests, it still refuses to go back',
  async () => {
    const signer = makeNoteKey('log.example/one')
    const log = makeSmallLog('log.example/one', 'leaf', signer)
    const fork = makeSmallLog('log.example/one', 'another leaf', signer)
    const data = join(place.path, 'between')
    const first = await spawnWitness({ data, logs: [signer.vkey] })
    expect(await first.add(await growth(log, 0, 9))).toMatchObject({ status: 200 })
    await first.kill()
    await using second = await spawnWitness({ data, logs: [signer.vkey] })
    expect(await second.add(await growth(fork, 0, 9))).toMatchObject({ status: 409, text: '9\n' })
    expect(await second.add(await growth(fork, 9, 9))).toMatchObject({ status: 422 })
    expect(await second.add(await growth(fork, 9, 12))).toMatchObject({ status: 422 })
    expect(await second.add(await growth(log, 9, 12))).toMatchObject({ status: 200 })
  },
  seconds,
)

/** How the whole of `exhibit` refuses. */
const refused = async (args: string[]) => {
  const { code, out, err } = await runCommand(['witness', ...args])
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err.trim().split('\n')).toHaveLength(1)
  return err
}

/** How the command refuses, which is shown as above. */
const refusal = async (args: string[]) => await witnessCommand().parseAsync(args, { from: 'user' })

test(
  'it refuses to start, in one sentence, where it would run twice, forget, or watch nothing it can check',
  async () => {
    const log = makeSmallLog('log.example/one')
    const data = join(place.path, 'refusals')
    const usual = ['--data', data, '--name', witnessName, '--listen', '127.0.0.1:0', '--log', log.signer.vkey]
    const running = await spawnWitness({ data, logs: [log.signer.vkey] })
    expect(await refused(usual)).toMatch(/already running in .*refusals/)
    const taken = `127.0.0.1:${new URL(running.url).port}`
    await expect(refusal(usual.with(1, join(place.path, 'other')).with(5, taken))).rejects.toThrow(
      'cannot be listened on',
    )
    await running.add(await growth(log, 0, 5))
    await running.kill()

    const record = join(data, 'witness/logs', hashOf(log.origin))
    const note = await readFile(record, 'utf8')
    await writeFile(record, note.slice(0, 100))
    expect(await refused(usual)).toMatch(/is damaged: .*Put back what was there a moment before/)
    await writeFile(record, note)
    await expect(refusal(usual.with(3, 'witness.example/w2'))).rejects.toThrow('a key has one name for ever')
    await expect(refusal(usual.with(7, 'log.example/one'))).rejects.toThrow('is not the key of a log')
    await expect(refusal(usual.with(3, 'a name'))).rejects.toThrow('has no spaces')
    await expect(refusal(usual.with(5, '8090'))).rejects.toThrow('is no address')
    await using witness = await spawnWitness({ data, logs: [log.signer.vkey] })
    expect(await witness.add(await growth(log, 5, 6))).toMatchObject({ status: 200 })
  },
  2 * seconds,
)
