import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canonical, type Json } from '../../src/base/canonical.ts'
import {
  type CameraSerial,
  type ClipId,
  type EntryId,
  type ExhibitId,
  newId,
  type RecordingId,
  type Sha256,
  type UploadId,
} from '../../src/base/ids.ts'
import { signReceipt } from '../../src/custody/receipt.ts'
import { type SidecarClaims, type SidecarEntry, sidecarType } from '../../src/custody/sidecar.ts'
import { partWith } from '../../src/custody/sidecar-contents.ts'
import { NotVerified } from '../../src/custody/verify-receipt.ts'
import { verifySidecar } from '../../src/custody/verify-sidecar.ts'
import { systemClock } from '../../src/engines/clock.ts'
import { makeKeyFile, type ReceiptKey } from '../../src/engines/receipt-key.ts'
import { type Act, sealEntry } from '../../src/ledger/entry.ts'
import { signStatement } from '../../src/ledger/statement.ts'
import { runCommand } from '../command-line.ts'

let folder: string
let key: ReceiptKey
let stranger: ReceiptKey
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exhibit-sidecar-'))
  key = await makeKeyFile(join(folder, 'key.json'))
  stranger = await makeKeyFile(join(folder, 'stranger.json'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const recordingId = newId<RecordingId>()
const uploadId = newId<UploadId>()
const act: Act = {
  operation: 'consultation',
  action: 'recording.viewed',
  subject: { type: 'recording', id: recordingId },
  actor: { kind: 'person', id: 'somebody' },
  purpose: 'case: 12/3456',
}

/** An entry as a sidecar has it, as the given leaf. */
const told = (index: number, over: Partial<Act> = {}) => {
  const { id, entry, salt, parts, leaf } = sealEntry({ ...act, ...over }, systemClock)
  const kept = { id, log: 'log.example.org', index, entry: JSON.parse(entry), salt: salt.toString('hex'), parts }
  return { kept: kept as SidecarEntry & { entry: Json }, leaf: leaf.toString('hex') }
}

const receiptFor = async (entry: { kept: SidecarEntry; leaf: string }, by = key) =>
  await signReceipt(
    {
      iss: 'exhibit',
      iat: 1_800_000_000,
      uploadId,
      recordingId,
      camera: 'BWC-1' as CameraSerial,
      filename: 'BWC_0001.MP4',
      size: 3,
      sha256: 'a'.repeat(64) as Sha256,
      readBackAt: '2026-11-25T22:15:10.000Z',
      entryId: entry.kept.id,
      leaf: entry.leaf,
    },
    by,
  )

/** A whole sidecar: two entries in an object of their own, then the one of the receipt, and one of the upload. */
const whole = async () => {
  const earlier = [told(3), told(8)]
  const { part, bytes } = partWith(
    recordingId,
    1,
    earlier.map(({ kept }) => kept),
  )
  const verified = told(9, { action: 'recording.verified', operation: 'collection' })
  const stored = told(12, { subject: { type: 'upload', id: uploadId } })
  const claims: SidecarClaims = {
    v: 1,
    iss: 'exhibit',
    iat: 1_800_000_000,
    recordingId,
    recording: { camera: 'BWC-1', status: 'active' },
    upload: { id: uploadId },
    receipt: await receiptFor(verified),
    clips: [newId<ClipId>()],
    exhibits: [newId<ExhibitId>()],
    earlier: [part],
    entries: [verified.kept, stored.kept],
  }
  return { claims, objects: new Map([[part.key, bytes]]), leaves: [...earlier, verified, stored] }
}

const signed = async (claims: unknown, by = key, type = sidecarType) => await signStatement(type, claims as Json, by)
const verify = async (claims: unknown, objects: ReadonlyMap<string, Buffer>, by = key) =>
  await verifySidecar(await signed(claims, by), [key.publicJwk], async (name) => objects.get(name) ?? null)

test('a whole sidecar verifies, and gives the leaf of every entry in order', async () => {
  const { claims, objects, leaves } = await whole()
  const verified = await verify(claims, objects)
  expect(verified.faults).toEqual([])
  expect(verified.receipt).toMatchObject({ recordingId })
  expect([...verified.leaves]).toEqual(leaves.map(({ kept: { id, log, index }, leaf }) => [id, { log, index, leaf }]))
})

test('what was erased is known by the entry of its erasure, and a body that is gone by its leaf', async () => {
  const { claims, objects } = await whole()
  const [gone, less] = [told(20), told(21)]
  const erasures = [gone, less].map(({ kept }, n) =>
    told(22 + n, { operation: 'erasure', subject: { type: 'entry', id: kept.id } }),
  )
  const [ofBody, ofPart] = erasures.map(({ kept }) => kept.id)
  if (ofBody === undefined || ofPart === undefined) throw new Error('two erasures')
  const { purpose, ...rest } = less.kept.parts ?? {}
  expect(purpose).toBeDefined()
  const entries: SidecarEntry[] = [
    ...claims.entries,
    { id: gone.kept.id, log: gone.kept.log, index: 20, leaf: gone.leaf, erased: { body: ofBody } },
    { ...less.kept, parts: rest, erased: { purpose: ofPart } },
    ...erasures.map(({ kept }) => kept),
  ]
  const { faults, leaves } = await verify({ ...claims, entries }, objects)
  expect(faults).toEqual([])
  expect(leaves.get(gone.kept.id)?.leaf).toBe(gone.leaf)
})

describe('a sidecar that was altered and signed again is found out:', () => {
  type Change = (claims: SidecarClaims, objects: Map<string, Buffer>) => Promise<unknown> | unknown
  const last = ({ entries }: SidecarClaims): SidecarEntry & { entry: Record<string, Json> } => entries[0] as never
  const changes: [string, RegExp, Change][] = [
    [
      'a part says another thing',
      /is not what was sealed/,
      (claims) => Object.assign(last(claims).parts?.purpose ?? {}, { value: 'case: 99/0000' }),
    ],
    [
      'a part is missing',
      /"purpose" is missing, and nothing says/,
      (claims) => {
        delete last(claims).parts?.purpose
      },
    ],
    [
      'a part was added that the entry does not seal',
      /comes with "policy"/,
      (claims) => Object.assign(last(claims).parts ?? {}, { policy: { value: 'x', salt: '0'.repeat(32) } }),
    ],
    [
      'an entry has another salt',
      /names is missing, or has another leaf/,
      (claims) => Object.assign(last(claims), { salt: '0'.repeat(32) }),
    ],
    [
      'an entry says another time',
      /names is missing, or has another leaf/,
      (claims) => Object.assign(last(claims).entry, { at: '2020-01-01T00:00:00.000000Z' }),
    ],
    [
      'an entry stands under another id',
      /Under the id .* there is another entry/,
      (claims) => Object.assign(claims.entries[1] ?? {}, { id: newId<EntryId>() }),
    ],
    [
      'an entry has neither body nor leaf',
      /has neither a body nor/,
      (claims) => {
        delete claims.entries[1]?.entry
      },
    ],
    ['entries are in another order', /stands after one of a later leaf/, (claims) => claims.entries.reverse()],
    ['an entry is there twice', /is there twice/, (claims) => claims.entries.push({ ...last(claims), index: 100 })],
    [
      'an entry is about another recording',
      /is about something else/,
      (claims) => claims.entries.push(told(50, { subject: { type: 'recording', id: newId() } }).kept),
    ],
    [
      'the erasure of an entry that is not there',
      /is about something else/,
      (claims) => claims.entries.push(told(50, { subject: { type: 'entry', id: newId() } }).kept),
    ],
    ['the entry of the receipt is left out', /names is missing/, (claims) => claims.entries.shift()],
    [
      'the receipt is signed by a stranger',
      /The receipt is not right/,
      async (claims) => Object.assign(claims, { receipt: await receiptFor(told(9), stranger) }),
    ],
    ['an object is missing', /\.json is missing\.$/, (_claims, objects) => objects.clear()],
    [
      'an object was altered',
      /is not what was signed/,
      (claims, objects) => objects.set(claims.earlier[0]?.key ?? '', Buffer.from('{}')),
    ],
    [
      'an object is of another recording',
      /does not hold 2 entries of this recording/,
      (claims, objects) => {
        const { part, bytes } = partWith(newId<RecordingId>(), 1, [told(1).kept, told(2).kept])
        objects.set(part.key, bytes)
        Object.assign(claims.earlier[0] ?? {}, part)
      },
    ],
    [
      'an object holds fewer entries than it should',
      /does not hold 2 entries/,
      (claims, objects) => {
        const { part, bytes } = partWith(recordingId, 1, [told(1).kept])
        objects.set(part.key, bytes)
        Object.assign(claims.earlier[0] ?? {}, part, { entries: 2 })
      },
    ],
  ]
  test.for(changes)('%s', async ([, says, change]) => {
    const { claims, objects } = await whole()
    await change(claims, objects)
    const { faults } = await verify(JSON.parse(canonical(claims as unknown as Json)), objects)
    expect(faults.join('\n')).toMatch(says)
  })
})

test('what no key vouches for, or is no sidecar, is refused whole', async () => {
  const { claims, objects } = await whole()
  const none = async () => null
  await expect(verify(claims, objects, stranger)).rejects.toThrow(NotVerified)
  await expect(verifySidecar(claims.receipt ?? '', [key.publicJwk], none)).rejects.toThrow(/another kind/)
  await expect(verifySidecar('none', [key.publicJwk], none)).rejects.toThrow(NotVerified)
  for (const wrong of [{}, { ...claims, v: 2 }, { ...claims, entries: [{}] }, { ...claims, earlier: [{ key: 'a' }] }])
    await expect(verify(wrong, objects)).rejects.toThrow(/does not state what a sidecar states/)
  const jws = await signed(claims)
  const [header, payload, signature] = jws.split('.')
  const other = Buffer.from(canonical({ ...claims, iss: 'another' } as unknown as Json)).toString('base64url')
  expect(payload).not.toBe(other)
  await expect(verifySidecar(`${header}.${other}.${signature}`, [key.publicJwk], none)).rejects.toThrow(
    /signature is wrong/,
  )
})

test('exhibit verify tells of a sidecar in a folder what it states, and names an object that was altered or is missing', async () => {
  const { claims, objects } = await whole()
  const [[name, bytes] = ['', Buffer.alloc(0)]] = objects
  const [sidecar, keys, part] = ['of.sidecar.jws', 'public.json', basename(name)].map((each) => join(folder, each))
  if (sidecar === undefined || keys === undefined || part === undefined) throw new Error('three names')
  await writeFile(sidecar, `${await signed(claims)}\n`)
  await writeFile(keys, JSON.stringify(key.publicJwk))
  const verified = async () => await runCommand(['verify', sidecar, '--key', keys])

  expect(await verified()).toMatchObject({ code: 1, out: expect.stringContaining(`${name} is missing.`) })
  await writeFile(part, Buffer.concat([bytes, Buffer.from(' ')]))
  expect(await verified()).toMatchObject({ code: 1, out: expect.stringContaining(`${name} is not what was signed.`) })
  await writeFile(part, bytes)
  const { code, out } = await verified()
  expect(out).toMatch(/^✓ .*\n✓ Every object .*\n✓ Its receipt is right/)
  expect(out).toContain(recordingId)
  expect(code).toBe(0)
  const more = await runCommand(['verify', sidecar, '--key', keys, '--proof', 'garbage'])
  expect(more).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^--proof goes with a receipt or/) })
})
