import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verifyCommand } from '../../src/cli/verify.ts'
import { sidecarType } from '../../src/custody/sidecar.ts'
import { makeKeyFile } from '../../src/engines/receipt-key.ts'
import { signStatement } from '../../src/ledger/statement.ts'
import { erasureType } from '../../src/retention/proof.ts'
import { asFolder, asZip } from '../bundle-builder.ts'
import { smallBundle } from '../bundle-verdicts.ts'
import { runCommand } from '../command-line.ts'

const built = smallBundle()
const [receipt = ''] = built.story.receipts.map(({ jws }) => jws)
const [proof = ''] = [...built.files].flatMap(([name, bytes]) => (name.endsWith('.tlog-proof') ? [`${bytes}`] : []))

let place: string
let keys: string
beforeAll(async () => {
  place = await mkdtemp(path.join(tmpdir(), 'exhibit-demands-'))
  const key = await makeKeyFile(path.join(place, 'private.json'))
  keys = path.join(place, 'keys.json')
  const given = {
    'keys.json': JSON.stringify({ keys: [built.key], logs: [{ vkey: built.log.vkey }] }),
    receipt,
    'a receipt that was cut': receipt.slice(9),
    'a proof of erasure': await signStatement(erasureType, {}, key),
    'a sidecar': await signStatement(sidecarType, {}, key),
    'a proof of the log': proof,
    'something else': 'garbage',
    'a bundle.zip': asZip(built),
  }
  for (const [name, what] of Object.entries(given)) await writeFile(path.join(place, name), what)
  await asFolder({ ...built, top: 'a bundle unpacked' }, place)
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

const demands = ['--file', '--proof', '--entry', '--witness']

/** What the command says when it is asked: there are no keys, so that whatever it does not refuse fails for want of them. */
const saidTo = async (what: string, ...options: string[]): Promise<string> => {
  const args = [path.join(place, what), '--key', path.join(place, 'nowhere'), ...options]
  const said: unknown = await verifyCommand()
    .parseAsync(args, { from: 'user' })
    .catch((error: unknown) => error)
  if (!(said instanceof Error)) throw new Error(`${what} with ${options.join(' ')} was not refused`)
  return said.message
}

describe('each check that is demanded is made, or refused in words', () => {
  test.each<[string, string[]]>([
    ['receipt', ['--entry', '--witness']],
    ['a proof of erasure', ['--file', '--entry', '--witness']],
    ['a proof of the log', ['--file', '--proof']],
    ['a sidecar', demands],
    ['a bundle.zip', ['--file', '--proof', '--entry']],
    ['a bundle unpacked', ['--file', '--proof', '--entry']],
    ['something else', ['--entry', '--witness']],
    ['a receipt that was cut', ['--entry', '--witness']],
  ])('of %s', async (what, unmet) => {
    const refused: string[] = []
    for (const demand of demands)
      if ((await saidTo(what, demand, 'garbage')).startsWith(`${demand} goes with `)) refused.push(demand)
    expect(refused).toEqual(unmet)
  })

  test('and all that cannot be made is named at once', async () => {
    const all = demands.flatMap((demand) => [demand, 'garbage'])
    expect(await saidTo('a sidecar', ...all)).toMatch(/--file goes .* --proof goes .* --entry goes .* --witness goes /)
    // With --proof there is a head that a witness may have signed.
    expect(await saidTo('receipt', ...all)).toMatch(/^--entry goes with a proof of the log: [^-]*$/)
  })

  test.each(['--key', ...demands.filter((demand) => demand !== '--witness')])('one %s, never two', async (option) => {
    const said = await verifyCommand()
      .parseAsync([path.join(place, 'receipt'), option, 'garbage', option, 'other'], { from: 'user' })
      .catch(String)
    expect(said).toMatch(`${option} was given twice`)
  })
})

test('the command ends with 0 for what is right, and with 1 once more is demanded than can be checked', async () => {
  const run = async (what: string, ...options: string[]) =>
    await runCommand(['verify', path.join(place, what), '--key', keys, ...options])
  const refusal = (words: RegExp) => ({ code: 1, out: '', err: expect.stringMatching(words) })
  expect(await run('receipt')).toMatchObject({ code: 0 })
  expect(await run('receipt', '--witness', built.log.witness)).toMatchObject(refusal(/^--witness goes with .*--proof/))
  expect(await run('a bundle.zip')).toMatchObject({ code: 0 })
  expect(await run('a bundle.zip', '--proof', 'garbage', '--entry', 'garbage')).toMatchObject(
    refusal(/^--proof goes with .*carries its proofs itself.*--entry goes with /),
  )
  expect(await run('a proof of the log')).toMatchObject({ code: 0 })
  expect(await run('a proof of the log', '--file', 'x')).toMatchObject(refusal(/^--file goes with a receipt: /))
}, 120_000)
