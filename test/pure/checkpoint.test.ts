import { sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  checkpointText,
  cosign,
  cosignedAt,
  examineCheckpoint,
  openCheckpoint,
  parseCheckpointText,
  parseHash,
  parseWhole,
} from '../../src/base/checkpoint.ts'
import { type NoteKey, noteKey, parseNote, parseVkey, signatureLine, signNote } from '../../src/base/note.ts'
import { newNoteKey } from '../note-keys.ts'

// The example of C2SP tlog-cosignature: the checkpoint of tlog-checkpoint, with a cosignature below it.
const sofaText = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
`
const sofa = `${sofaText}
— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`

// A checkpoint that a public log published in May 2026, signed by other implementations: the log's two keys under one
// name (one of a type that we do not know), and four witnesses.
const publicOrigin = 'arche2025h1.staging.ct.transparency.dev'
const publicCheckpoint = `arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
`
const keyIn = (vkey: string): NoteKey => {
  const key = parseVkey(vkey)
  if (key === null) throw new Error(`${vkey} was not read`)
  return key
}
const publicKey = keyIn(`${publicOrigin}+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f`)
const publicWitness = keyIn('remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2')

const { key, privateKey } = newNoteKey('example.com/log')
const root = Buffer.alloc(32, 7)
const head = { origin: 'example.com/log', size: 12, root }
const text = checkpointText(head)
const signed = signNote(text, key, privateKey)

describe('checkpoints that others signed', () => {
  test('the example of the specification is read', () => {
    const note = parseNote(sofa)
    expect(note?.text).toBe(sofaText)
    expect(note?.signatures.map(({ name }) => name)).toEqual(['example.com/behind-the-sofa', 'witness.example.com/w1'])
    const parsed = parseCheckpointText(sofaText)
    expect(parsed).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163 })
    expect(parsed && checkpointText(parsed)).toBe(sofaText)
    // The time that the specification gives for it.
    expect(note?.signatures[1]?.signature.readBigUInt64BE()).toBe(1_679_315_147n)
  })

  test('a published checkpoint opens with the key of its log', () => {
    const opened = openCheckpoint(publicCheckpoint, publicKey)
    expect(opened).toMatchObject({ origin: publicOrigin, size: 1_432_088_532 })
    expect(opened?.root.toString('base64')).toBe('U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=')
    expect(openCheckpoint(publicCheckpoint.replace('1432088532', '1432088533'), publicKey)).toBeNull()
  })

  test('the cosignature of a public witness verifies, and says when', () => {
    const note = parseNote(publicCheckpoint)
    const times = note?.signatures.map((line) => cosignedAt(note.text, line, publicWitness))
    expect(times).toEqual([null, null, null, null, 0x6a122120, null])
    expect(new Date(0x6a122120 * 1000).toISOString()).toBe('2026-05-23T21:50:24.000Z')
    const altered = note?.text.replace('1432088532', '1432088533') ?? ''
    expect(note?.signatures.map((line) => cosignedAt(altered, line, publicWitness)).every((at) => at === null)).toBe(
      true,
    )
  })
})

describe('the text of a checkpoint', { timeout: 60_000 }, () => {
  test('is three lines: origin, size, root', () => {
    expect(text).toBe(`example.com/log\n12\n${root.toString('base64')}\n`)
    expect(parseCheckpointText(text)).toEqual(head)
  })

  test('is read as it was written', () => {
    const origins = fc.string({ unit: 'grapheme', minLength: 1 }).filter((origin) => {
      return origin.isWellFormed() && !/[^\P{Cc}\u007f-\u009f]/u.test(origin)
    })
    const roots = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(fc.record({ origin: origins, size: fc.maxSafeNat(), root: roots }), (any) => {
        expect(parseCheckpointText(checkpointText(any))).toEqual(any)
      }),
    )
  })

  test('may have further lines, which are let pass', () => {
    expect(parseCheckpointText(`${text}more\nand more\n`)).toEqual(head)
  })

  test.for<[string, (text: string) => string]>([
    ['nothing', () => ''],
    ['two lines only', (it) => it.split('\n').slice(0, 2).join('\n').concat('\n')],
    ['no newline at the end', (it) => it.slice(0, -1)],
    ['an empty origin', (it) => it.replace('example.com/log', '')],
    ['an empty line at the end', (it) => `${it}\n`],
    ['an empty line before further ones', (it) => `${it}\nmore\n`],
    ['an empty further line', (it) => `${it}more\n\nmore\n`],
    ['an empty line at the start', (it) => `\n${it}`],
    ['an empty size', (it) => it.replace('12\n', '\n')],
    ['a size with leading zeros', (it) => it.replace('12', '012')],
    ['a size of 00', (it) => it.replace('12', '00')],
    ['a negative size', (it) => it.replace('12', '-12')],
    ['a size of -0', (it) => it.replace('12', '-0')],
    ['a size with a plus', (it) => it.replace('12', '+12')],
    ['a size with a point', (it) => it.replace('12', '12.0')],
    ['a size with an exponent', (it) => it.replace('12', '1e1')],
    ['a size in hexadecimal', (it) => it.replace('12', '0x12')],
    ['a size with spaces', (it) => it.replace('12', ' 12')],
    ['a size in other digits', (it) => it.replace('12', '١٢')],
    ['a size of 2^53', (it) => it.replace('12', '9007199254740992')],
    ['a size of 2^64', (it) => it.replace('12', '18446744073709551616')],
    ['a size of very many digits', (it) => it.replace('12', '1'.repeat(60_000))],
    ['a root of 31 bytes', (it) => it.replace(root.toString('base64'), Buffer.alloc(31).toString('base64'))],
    ['a root of 33 bytes', (it) => it.replace(root.toString('base64'), Buffer.alloc(33).toString('base64'))],
    ['a root in hexadecimal', (it) => it.replace(root.toString('base64'), root.toString('hex'))],
    ['a root without its padding', (it) => it.replace('=', '')],
    ['a root with bits left over', (it) => it.replace('c=', 'd=')],
    ['a root with a space', (it) => it.replace('=', '= ')],
    ['carriage returns', (it) => it.replaceAll('\n', '\r\n')],
    ['a control character', (it) => it.replace('log', 'l\u0001g')],
    ['half of a surrogate pair', (it) => it.replace('log', 'l\ud83dg')],
    ['more than 64 KiB', (it) => `${it}${'x'.repeat(65_536)}\n`],
  ])('is not read with %s', ([, alter]) => {
    expect(alter(text)).not.toBe(text)
    expect(parseCheckpointText(alter(text))).toBeNull()
    expect(openCheckpoint(`${alter(text)}\n${signatureLine(key, Buffer.alloc(64))}`, key)).toBeNull()
  })

  test('counts up to 2^53-1', () => {
    expect(parseCheckpointText(text.replace('12', '9007199254740991'))?.size).toBe(Number.MAX_SAFE_INTEGER)
    expect(parseCheckpointText(text.replace('12', '0'))?.size).toBe(0)
  })

  test.for([
    { ...head, origin: '' },
    { ...head, origin: 'two\nlines' },
    { ...head, origin: 'tab\t' },
    { ...head, origin: '\ud800' },
    { ...head, size: -1 },
    { ...head, size: 0.5 },
    { ...head, size: 2 ** 53 },
    { ...head, size: Number.NaN },
    { ...head, root: Buffer.alloc(31) },
    { ...head, root: Buffer.alloc(0) },
  ])('is not made for %j', (wrong) => {
    expect(() => checkpointText(wrong)).toThrow(RangeError)
  })
})

test('whole numbers are decimal digits without leading zeros, up to 2^53-1', () => {
  expect(['0', '1', '10', '9007199254740991'].map(parseWhole)).toEqual([0, 1, 10, Number.MAX_SAFE_INTEGER])
  const others = ['', '00', '01', '-1', '+1', '1.0', '1e3', ' 1', '1 ', '1\n', '9007199254740992', '10000000000000000']
  for (const other of others) expect(parseWhole(other)).toBeNull()
})

test('a hash is 32 bytes in base64', () => {
  expect(parseHash(root.toString('base64'))).toEqual(root)
  for (const length of [0, 31, 33]) expect(parseHash(Buffer.alloc(length).toString('base64'))).toBeNull()
})

describe('a signed checkpoint', { timeout: 60_000 }, () => {
  const other = newNoteKey('example.com/log')
  const wrong = signatureLine(key, Buffer.alloc(64))

  test('opens with the key of its log', () => {
    expect(openCheckpoint(signed, key)).toEqual(head)
  })

  test('opens with further lines of other keys, known or not', () => {
    const others = ['witness.example', 'example.com/log'].map((name) => signatureLine(newNoteKey(name).key, root))
    expect(openCheckpoint(signed + others.join(''), key)).toEqual(head)
  })

  test.for<[string, string, NoteKey, string]>([
    ['it is no note', text, key, 'the checkpoint is not well formed'],
    ['its text is no checkpoint', signNote('hello\n', key, privateKey), key, 'the checkpoint is not well formed'],
    [
      'it is of another origin, though signed with the key',
      signNote(checkpointText({ ...head, origin: 'example.com/other' }), key, privateKey),
      key,
      'the checkpoint is of another log than example.com/log',
    ],
    ['it is signed with another key of that name', signed, other.key, 'the checkpoint is not signed with the key'],
    [
      'the key is one for cosignatures',
      signed,
      noteKey(key.name, 4, key.publicKey),
      'the checkpoint is not signed with the key',
    ],
    [
      'it is signed as notes are, but in the name of a key for cosignatures',
      `${text}\n${signatureLine(noteKey(key.name, 4, key.publicKey), sign(null, Buffer.from(text), privateKey))}`,
      noteKey(key.name, 4, key.publicKey),
      'the checkpoint is not signed with the key',
    ],
    ['its signature is wrong', `${text}\n${wrong}`, key, 'a signature of the checkpoint is not by the key'],
    ['a second signature by that key is wrong', signed + wrong, key, 'a signature of the checkpoint is not by the key'],
    ['a first one is wrong', signed.replace('\n\n', `\n\n${wrong}`), key, 'a signature of the checkpoint is not by'],
    [
      'its size was changed',
      signed.replace('\n12\n', '\n13\n'),
      key,
      'a signature of the checkpoint is not by the key',
    ],
    ['a line was added', signed.replace('\n\n', '\nmore\n\n'), key, 'a signature of the checkpoint is not by the key'],
  ])('does not open when %s', ([, note, by, fault]) => {
    expect(openCheckpoint(note, by)).toBeNull()
    const examined = examineCheckpoint(note, by)
    expect('fault' in examined && examined.fault).toContain(fault)
  })

  test('does not open after any change of one character', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('', 'A', '0', '1', '\n', ' ', '='), (any, put) => {
        const at = any % signed.length
        const changed = signed.slice(0, at) + put + signed.slice(at + 1)
        if (changed !== signed) expect(openCheckpoint(changed, key)).toBeNull()
      }),
      { numRuns: 400 },
    )
  })
})

describe('a cosignature', { timeout: 60_000 }, () => {
  const witness = newNoteKey('witness.example/w1', 4)
  const lineIn = (line: string) => {
    const [found] = parseNote(`${text}\n${line}`)?.signatures ?? []
    if (found === undefined) throw new Error(`${line} was not read`)
    return found
  }
  const line = cosign(text, 1_700_000_000, witness.key, witness.privateKey)

  test('is one line under the checkpoint, and says when it was made', () => {
    expect(line).toMatch(/^— witness\.example\/w1 [A-Za-z0-9+/]+==?\n$/)
    expect(lineIn(line).signature).toHaveLength(72)
    expect(cosignedAt(text, lineIn(line), witness.key)).toBe(1_700_000_000)
    expect(openCheckpoint(signed + line, key)).toEqual(head)
  })

  test('covers its time and the whole text, as the specification puts them together', () => {
    const time = Buffer.from('000000006553f100', 'hex')
    const message = `cosignature/v1\ntime 1700000000\n${text}`
    const made = Buffer.concat([time, sign(null, Buffer.from(message), witness.privateKey)])
    expect(lineIn(line).signature).toEqual(made)
    const later = Buffer.concat([Buffer.from('000000006553f101', 'hex'), made.subarray(8)])
    expect(cosignedAt(text, { ...lineIn(line), signature: later }, witness.key)).toBeNull()
  })

  test('is not taken for one over another text, by another key, name or type', () => {
    expect(cosignedAt(`${text}more\n`, lineIn(line), witness.key)).toBeNull()
    expect(cosignedAt(text, lineIn(line), newNoteKey('witness.example/w1', 4).key)).toBeNull()
    const renamed = noteKey('witness.example/w2', 4, witness.key.publicKey)
    expect(cosignedAt(text, lineIn(line), renamed)).toBeNull()
    expect(cosignedAt(text, { ...lineIn(line), name: renamed.name, keyId: renamed.id }, renamed)).toBe(1_700_000_000)
    const plain = noteKey(witness.key.name, 1, witness.key.publicKey)
    expect(cosignedAt(text, { ...lineIn(line), keyId: plain.id }, plain)).toBeNull()
  })

  test('is not a signature of the log, nor the other way round', () => {
    const both = noteKey(key.name, 4, key.publicKey)
    const own = cosign(text, 5, both, privateKey)
    expect(openCheckpoint(`${text}\n${own}`, key)).toBeNull()
    expect(openCheckpoint(signed + own, key)).toEqual(head)
    const [first] = parseNote(signed)?.signatures ?? []
    expect(first && cosignedAt(text, { ...first, keyId: both.id }, both)).toBeNull()
  })

  test('verifies at any time up to 2^53-1 seconds, and not beyond', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seconds) => {
        const made = cosign(text, seconds, witness.key, witness.privateKey)
        expect(cosignedAt(text, lineIn(made), witness.key)).toBe(seconds)
      }),
      { numRuns: 30 },
    )
    for (const seconds of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      const time = Buffer.alloc(8)
      time.writeBigUInt64BE(seconds)
      const message = `cosignature/v1\ntime ${seconds}\n${text}`
      const signature = Buffer.concat([time, sign(null, Buffer.from(message), witness.privateKey)])
      expect(cosignedAt(text, { ...lineIn(line), signature }, witness.key)).toBeNull()
    }
  })

  test('with any bit flipped, or of another length, does not verify', () => {
    const { signature } = lineIn(line)
    for (let bit = 0; bit < signature.length * 8; bit += 1) {
      const flipped = Buffer.from(signature)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(cosignedAt(text, { ...lineIn(line), signature: flipped }, witness.key)).toBeNull()
    }
    for (const length of [1, 8, 64, 71]) {
      const cut = { ...lineIn(line), signature: signature.subarray(0, length) }
      expect(cosignedAt(text, cut, witness.key)).toBeNull()
    }
    const longer = { ...lineIn(line), signature: Buffer.concat([signature, Buffer.of(0)]) }
    expect(cosignedAt(text, longer, witness.key)).toBeNull()
  })

  test('is made over a checkpoint only, at a time, with a key for it', () => {
    const make = (over: string, seconds: number, by: NoteKey) => () => cosign(over, seconds, by, witness.privateKey)
    expect(make('hello\n', 5, witness.key)).toThrow(RangeError)
    for (const seconds of [-1, 0.5, Number.NaN, 2 ** 53]) expect(make(text, seconds, witness.key)).toThrow(RangeError)
    expect(make(text, 5, noteKey('witness.example/w1', 1, witness.key.publicKey))).toThrow(RangeError)
    const hello = sign(null, Buffer.from('cosignature/v1\ntime 5\nhello\n'), witness.privateKey)
    const signature = Buffer.concat([Buffer.of(0, 0, 0, 0, 0, 0, 0, 5), hello])
    expect(cosignedAt('hello\n', { ...lineIn(line), signature }, witness.key)).toBeNull()
  })
})
