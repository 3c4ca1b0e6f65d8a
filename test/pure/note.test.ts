import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeBase64,
  ed25519PublicKey,
  isSignedBy,
  type NoteKey,
  noteKey,
  parseNote,
  parseVkey,
  signatureLine,
  signNote,
  vkeyOf,
} from '../../src/base/note.ts'
import { newNoteKey } from '../note-keys.ts'

// The examples of C2SP signed-note.
const exampleKey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const exampleNote = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`
const poem = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`

const { key, privateKey } = newNoteKey('example.com/log')
const line = signatureLine(key, Buffer.alloc(64, 7))

const opened = (note: string, by: NoteKey): boolean => {
  const parsed = parseNote(note)
  const own = parsed?.signatures.filter(({ name, keyId }) => name === by.name && keyId === by.id) ?? []
  return own.length > 0 && own.every(({ signature }) => isSignedBy(parsed?.text ?? '', signature, by))
}

describe('the examples of the specification', () => {
  test('the verifier key is read and written again', () => {
    const parsed = parseVkey(exampleKey)
    expect(parsed).toMatchObject({ name: 'example.com/foo', type: 1, id: '530d903a' })
    expect(parsed?.publicKey.toString('base64')).toBe('6TJ5GubnqECkYWTJBHhkJtXngh3YspoA1hyucq/dTaQ=')
    expect(parsed && vkeyOf(parsed)).toBe(exampleKey)
  })

  test('the verifier key verifies its note, and no altered one', () => {
    const parsed = parseVkey(exampleKey)
    if (parsed === null) throw new Error('the key was not read')
    expect(parseNote(exampleNote)?.text).toBe('This is an example message.\n')
    expect(opened(exampleNote, parsed)).toBe(true)
    expect(opened(exampleNote.replace('message.', 'message!'), parsed)).toBe(false)
    expect(opened(exampleNote.replace('message.\n', 'message.\n\n'), parsed)).toBe(false)
    expect(opened(exampleNote.replace('Uw2QOk', 'Uw2QOl'), parsed)).toBe(false)
    expect(opened(exampleNote, key)).toBe(false)
  })

  test('a note may have empty lines in its text; the last one divides it from the signatures', () => {
    const parsed = parseNote(poem)
    expect(parsed?.text).toBe(
      'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n',
    )
    expect(parsed?.signatures).toHaveLength(1)
    expect(parsed?.signatures[0]).toMatchObject({ name: 'quasimodo.example/salvatore', keyId: '367ba04b' })
    expect(parsed?.signatures[0]?.signature).toHaveLength(64)
  })
})

// Keys in public use: an Ed25519 one, and a witness's for cosignatures.
test.for<[string, number]>([
  ['PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 1],
  ['sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8', 1],
  ['remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2', 4],
])('%s is read as a key of type %i', ([text, type]) => {
  const parsed = parseVkey(text)
  expect(parsed?.type).toBe(type)
  expect(parsed && vkeyOf(parsed)).toBe(text)
})

test('the id of a key hangs on its name, its type and its bytes', () => {
  const other = Buffer.from(key.publicKey)
  other[31] = (other[31] ?? 0) ^ 0x80
  const ids = [
    key,
    noteKey('example.com/log2', 1, key.publicKey),
    noteKey(key.name, 4, key.publicKey),
    noteKey(key.name, 1, other),
  ].map(({ id }) => id)
  expect(new Set(ids).size).toBe(4)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}$/)
})

const badNames = ['', 'a b', 'a+b', 'a\tb', 'a\nb', 'a\u00a0b', 'a\u2028b', 'a\u3000b', 'a\u0085b', 'a\ud800b', 'a\0b']

test.for(badNames)('%j names no key', (name) => {
  expect(() => noteKey(name, 1, key.publicKey)).toThrow(RangeError)
  expect(parseVkey(`${name}+${key.id}+${vkeyOf(key).split('+').slice(2).join('+')}`)).toBeNull()
})

test.for([0, 31, 33, 64])('%i bytes are no Ed25519 key', (length) => {
  expect(() => noteKey('example.com', 1, Buffer.alloc(length))).toThrow(RangeError)
})

test('a verifier key is read only as it would be written', () => {
  const { name, id, publicKey } = noteKey('example.com/log', 1, Buffer.alloc(32, 0xfb))
  const material = (type: number, bytes = publicKey) => Buffer.concat([Buffer.of(type), bytes]).toString('base64')
  expect(material(1)).toContain('+')
  expect(parseVkey(`${name}+${id}+${material(1)}`)?.publicKey).toEqual(publicKey)
  for (const text of [
    '',
    name,
    `${name}+${id}`,
    `${name}+${id}+`,
    `${id}+${material(1)}`,
    `${name}++${material(1)}`,
    `${name}+${id}+${material(1)}\n`,
    ` ${name}+${id}+${material(1)}`,
    `${name}+${id}+${material(1)}+`,
    `${name}+${id}+${material(1).replaceAll('+', '-')}`,
    `${name}+${id.toUpperCase()}A+${material(1)}`,
    `${name}+0${id}+${material(1)}`,
    `${name}+00000000+${material(1)}`,
    `${name}x+${id}+${material(1)}`,
    `${name}+${id}+${material(1, publicKey.subarray(1))}`,
    `${name}+${id}+${material(1, Buffer.alloc(33))}`,
    ...[0, 2, 3, 5, 6, 0xff].map((type) => `${name}+${id}+${material(type)}`),
    `${name}+${id}+${material(4)}`,
    `${'a'.repeat(65_536)}+${id}+${material(1)}`,
  ]) {
    expect(parseVkey(text)).toBeNull()
  }
})

test('the hexadecimal digits of an id are small ones', () => {
  const text = 'PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
  expect(parseVkey(text)).toBeNull()
  expect(parseVkey(text.replace('C74F20A3', 'c74f20a3'))).not.toBeNull()
})

describe('a signed note', { timeout: 60_000 }, () => {
  const letters = fc.string({ unit: 'grapheme', maxLength: 60 })
  const texts = fc
    .array(letters, { maxLength: 8 })
    .map((lines) => `${lines.join('\n')}\n`)
    .filter((text) => text.isWellFormed() && !/[^\P{Cc}\n\u007f-\u009f]/u.test(text))

  test('is read as it was signed, whatever its text, and verifies with its key only', () => {
    const other = newNoteKey(key.name).key
    fc.assert(
      fc.property(texts, (text) => {
        const note = signNote(text, key, privateKey)
        expect(note.startsWith(`${text}\n— `)).toBe(true)
        expect(parseNote(note)?.text).toBe(text)
        expect(opened(note, key)).toBe(true)
        expect(opened(note, other)).toBe(false)
      }),
    )
  })

  test('does not verify after any change of its text', () => {
    const changes = fc.record({ text: texts, at: fc.nat(), put: fc.constantFrom('', 'x', 'ä', '\n', '0') })
    fc.assert(
      fc.property(changes, ({ text, at, put }) => {
        const start = at % text.length
        const changed = text.slice(0, start) + put + text.slice(start + 1)
        const note = signNote(text, key, privateKey)
        if (changed !== text) expect(opened(changed + note.slice(text.length), key)).toBe(false)
      }),
    )
  })

  test('takes further signatures below the first', () => {
    const second = newNoteKey('witness.example')
    const own = signNote('text\n', key, privateKey)
    const theirs = signNote('text\n', second.key, second.privateKey)
    const both = own + theirs.slice('text\n\n'.length)
    expect(parseNote(both)?.signatures.map(({ name }) => name)).toEqual([key.name, 'witness.example'])
    expect([opened(both, key), opened(both, second.key)]).toEqual([true, true])
  })

  test('has no empty line between its signatures: what stands above the last one is text', () => {
    const parsed = parseNote(`text\n\n${line}\n${line}`)
    expect(parsed?.text).toBe(`text\n\n${line}`)
    expect(parsed?.signatures).toHaveLength(1)
  })

  test('may carry up to 64 signatures', () => {
    expect(parseNote(`text\n\n${line.repeat(64)}`)?.signatures).toHaveLength(64)
    expect(parseNote(`text\n\n${line.repeat(65)}`)).toBeNull()
  })

  test('is at most 64 KiB of UTF-8', () => {
    const fill = (bytes: number) => 'a'.repeat(bytes - Buffer.byteLength(`\n\n${line}`))
    expect(parseNote(`${fill(65_536)}\n\n${line}`)).not.toBeNull()
    expect(parseNote(`${fill(65_537)}\n\n${line}`)).toBeNull()
    // 40,000 characters, of two bytes each
    expect(parseNote(`${'ä'.repeat(40_000)}\n\n${line}`)).toBeNull()
  })

  test.for<[string, string]>([
    ['nothing', ''],
    ['a newline', '\n'],
    ['two newlines', '\n\n'],
    ['a text alone', 'text\n'],
    ['no signature after the empty line', 'text\n\n'],
    ['no empty line before the signature', `text\n${line}`],
    ['no text, not even an empty line', `\n${line}`],
    ['a signature alone', line],
    ['no newline at the end', `text\n\n${line}`.slice(0, -1)],
    ['an empty line at the end', `text\n\n${line}\n`],
    ['a line among the signatures that is none', `text\n\n${line}text\n`],
    ['a line before the signatures that is none', `text\n\ntext\n${line}`],
    ['a hyphen for the em dash', `text\n\n${line.replace('—', '-')}`],
    ['an en dash for the em dash', `text\n\n${line.replace('—', '–')}`],
    ['no space after the dash', `text\n\n${line.replace('— ', '—')}`],
    ['two spaces after the dash', `text\n\n${line.replace('— ', '—  ')}`],
    ['a no-break space after the dash', `text\n\n${line.replace('— ', '—\u00a0')}`],
    ['a space at the end of a line', `text\n\n${line.slice(0, -1)} \n`],
    ['two spaces before the signature', `text\n\n${line.replace('log ', 'log  ')}`],
    ['no name', `text\n\n${line.replace('example.com/log ', '')}`],
    ['no signature after the name', 'text\n\n— example.com/log\n'],
    ['an empty signature after the name', 'text\n\n— example.com/log \n'],
    ['a signature of four bytes, the key id alone', 'text\n\n— example.com/log AAAAAA==\n'],
    ['a name with a plus', `text\n\n${line.replace('/log', '+log')}`],
    ['a name with a space', `text\n\n${line.replace('/log', ' log')}`],
    ['a name with a no-break space', `text\n\n${line.replace('/log', '\u00a0log')}`],
    ['a name with an ideographic space', `text\n\n${line.replace('/log', '\u3000log')}`],
    ['base64 for addresses', `text\n\n— a ${Buffer.alloc(69, 0xfb).toString('base64url')}\n`],
    ['base64 without its padding', 'text\n\n— a AAAAAAA\n'],
    ['base64 with bits left over', 'text\n\n— a AAAAAAB=\n'],
    ['base64 with text behind', `text\n\n${line.slice(0, -1)}!\n`],
    ['carriage returns', `text\n\n${line}`.replaceAll('\n', '\r\n')],
    ['a carriage return in a line of signature', `text\n\n${line.slice(0, -1)}\r\n`],
    ['a zero byte', `te\0xt\n\n${line}`],
    ['a tab', `te\txt\n\n${line}`],
    ['an escape', `te\u001bxt\n\n${line}`],
    ['U+001F', `te\u001fxt\n\n${line}`],
    ['half of a surrogate pair', `te\ud83dxt\n\n${line}`],
    ['the other half', `te\udc00xt\n\n${line}`],
    ['a byte order mark before the dash', `text\n\n\ufeff${line}`],
  ])('is not read with %s', ([, note]) => {
    expect(parseNote(note)).toBeNull()
  })

  test('is read with a delete character, a control of the second set, and a whole surrogate pair in its text', () => {
    for (const text of ['a\u007fb', 'a\u0085b', 'a\u009fb', '😀', '\ufeffa', '\u2028']) {
      expect(parseNote(`${text}\n\n${line}`)?.text).toBe(`${text}\n`)
    }
  })

  test('is read with a signature of any kind that we do not know', () => {
    const unknown = `— other.example ${Buffer.concat([Buffer.of(1, 2, 3, 4), Buffer.alloc(4_700)]).toString('base64')}\n`
    const note = signNote('text\n', key, privateKey) + unknown
    expect(opened(note, key)).toBe(true)
    expect(parseNote(`text\n\n— a AAAAAAA=\n`)?.signatures[0]?.signature).toEqual(Buffer.of(0))
  })

  test('with lines that claim the name or the id of the key, but not both, is still its', () => {
    const elsewhere = line.replace('/log', '/other')
    const otherId = signatureLine({ ...key, id: '00000000' }, Buffer.alloc(64))
    expect(opened(signNote('text\n', key, privateKey) + elsewhere + otherId, key)).toBe(true)
  })

  test('is not made of a text that no note can hold, nor with a key for cosignatures', () => {
    for (const text of ['', 'text', 'te\txt\n', 'te\ud800xt\n', `${'a'.repeat(65_536)}\n`]) {
      expect(() => signNote(text, key, privateKey)).toThrow(RangeError)
    }
    expect(() => signNote('text\n', noteKey(key.name, 4, key.publicKey), privateKey)).toThrow(RangeError)
  })

  test('is read in time that grows with its length only', () => {
    const awkward = [
      '\n'.repeat(65_536),
      `${'— '.repeat(20_000)}\n`,
      `a\n\n${'— a '.repeat(15_000)}\n`,
      `a\n\n— ${'a'.repeat(65_000)}\n`,
      `a\n\n${'— a AAAAAAA=\n'.repeat(4_000)}`,
      '\n\n'.repeat(500_000),
    ]
    const start = process.cpuUsage()
    for (const note of awkward) expect(parseNote(note)).toBeNull()
    expect(process.cpuUsage(start).user).toBeLessThan(1_000_000) // microseconds
  })
})

test('a signature of another length, or by a key that is no point of the curve, does not verify', () => {
  for (const length of [0, 1, 63, 65, 128]) expect(isSignedBy('text\n', Buffer.alloc(length), key)).toBe(false)
  for (const byte of [0, 1, 2, 0xff]) {
    expect(isSignedBy('text\n', Buffer.alloc(64), noteKey('example.com', 1, Buffer.alloc(32, byte)))).toBe(false)
  }
})

test('a public key is made of its 32 bytes', () => {
  const made = ed25519PublicKey(key.publicKey)
  expect(made.asymmetricKeyType).toBe('ed25519')
  expect(made.export({ format: 'jwk' }).x).toBe(key.publicKey.toString('base64url'))
  expect(() => ed25519PublicKey(Buffer.alloc(31))).toThrow()
})

describe('base64', { timeout: 60_000 }, () => {
  test('of any bytes is read back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeBase64(Buffer.from(bytes).toString('base64'))).toEqual(Buffer.from(bytes))
      }),
    )
  })

  test('has one form for the same bytes', () => {
    const anything = fc.oneof(fc.string(), fc.stringMatching(/^[A-Za-z0-9+/_=\- \n]*$/))
    fc.assert(
      fc.property(anything, (text) => {
        const bytes = decodeBase64(text)
        if (bytes !== null) expect(bytes.toString('base64')).toBe(text)
        if (bytes !== null) expect(text).toMatch(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/)
      }),
      { numRuns: 2_000 },
    )
  })

  test.for([
    'QQ',
    'QQ=',
    'QQ===',
    'QR==',
    'QUJ=',
    'Q',
    '=',
    '====',
    'QUI= ',
    ' QUI=',
    'QU I=',
    'QUI=\n',
    'QU\nI=',
    '-_-_',
    'QQ==QQ==',
    'QUI=x',
    'ä',
    'QUJ%',
  ])('%j is none', (text) => {
    expect(decodeBase64(text)).toBeNull()
  })

  test.for<[string, string]>([
    ['', ''],
    ['QQ==', '41'],
    ['QUI=', '4142'],
    ['+/+/', 'fbffbf'],
  ])('%j is %s', ([text, bytes]) => {
    expect(decodeBase64(text)?.toString('hex')).toBe(bytes)
  })
})
