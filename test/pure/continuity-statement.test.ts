import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { hex, sha256 } from '../../src/base/digest.ts'
import { type CameraSerial, type ClipId, type EntryId, newId, type PersonId } from '../../src/base/ids.ts'
import { type Act, actOf } from '../../src/continuity/act.ts'
import { checkInBundle, checkOnline } from '../../src/continuity/checking.ts'
import { linesOf } from '../../src/continuity/drawing.ts'
import { sightOf } from '../../src/continuity/sight.ts'
import { type Statement, statementPdf, wholeStatementPdf } from '../../src/continuity/statement.ts'
import type { Role } from '../../src/people/role.ts'
import { pagesOf, textOf } from '../pdf-text.ts'
import { around, digest, recording, rowOf, somebody } from '../told.ts'

const facts: Statement['facts'] = {
  recording,
  camera: 'BWC-0042' as CameraSerial,
  officer: null,
  filename: 'BWC_0417.MP4',
  size: 382_730_240,
  sha256: digest,
  recordedAt: '2026-11-25T22:15:00.000Z',
  clockOffset: -3.2,
  receivedAt: '2026-11-26T06:02:11.480Z',
  duration: 612.4,
  status: 'active',
  flags: ['clock_drift'],
  clip: null,
}
const note = `exhibit.local/test\n4712\n${Buffer.alloc(32, 7).toString('base64')}\n\n— exhibit.local/test aGVsbG8=\n`
const statement: Statement = {
  subject: { type: 'recording', id: recording },
  facts,
  logs: [{ origin: 'exhibit.local/test', vkey: 'exhibit.local/test+0badc0de+AQ==', checkpoint: { size: 4712, note } }],
  madeAt: '2026-11-27T09:00:00.000Z',
  madeFor: 'Müller (Ж)',
  entry: newId<EntryId>(),
  holder: 'Avon Police',
  checking: checkOnline('https://exhibit.example', 'https://exhibit.example/api/v1/recordings/x/custody'),
}
const actsFor = (role: Role, count: number): Act[] => {
  const verified = rowOf({
    operation: 'collection',
    action: 'recording.verified',
    actor: { kind: 'service', id: 'take-into-custody', job: newId() },
    detail: { sha256: digest },
  })
  const rows = [verified, ...Array.from({ length: count - 1 }, () => rowOf({}))]
  return rows.map((row) => actOf(row, sightOf({ id: newId<PersonId>(), roles: [role], memberOf: new Set() }), around()))
}

describe('a continuity statement to print', () => {
  test('says in plain words what was done, with the digests, the log, its key and how to check it', async () => {
    const acts = actsFor('investigator', 3)
    const text = textOf(await wholeStatementPdf(statement, acts))
    expect(text).toContain('Continuity statement')
    expect(text).toContain(`Recording: ${recording}`)
    expect(text).toContain(`SHA-256 of the recording: ${digest}`)
    expect(text).toContain('every byte of the recording was read back')
    expect(text).toContain(`SHA-256 after, of the recording: ${digest}`)
    expect(text).toContain('The recording was opened to be watched.')
    expect(text).toContain('exhibit.local/test+0badc0de+AQ==')
    expect(text).toContain('— exhibit.local/test aGVsbG8=')
    expect(text).toContain('Key: exhibit.local/test')
    expect(text).toContain('place 4711 of exhibit.local/test, under the signed head above')
    expect(text).toContain('/api/v1/ledger/proofs/')
    expect(text).toContain('End of the list: 3 acts.')
    for (const told of acts) {
      expect(text).toContain(`Leaf: ${told.leaf}`)
      if (told.shown === 'in-part') {
        for (const seal of Object.values(told.sealed)) expect(text).toContain(`(sealed): ${seal}`)
      }
    }
    expect(text).not.toContain('Asha Rao')
    expect(text).not.toContain('Complaint')
  })

  test('names and gives reasons to whom they may be given, in whatever writing', async () => {
    const text = textOf(await wholeStatementPdf(statement, actsFor('supervisor', 2)))
    expect(text).toContain(`Who: person Asha Rao (${somebody}), as investigator`)
    expect(text).toContain('Why: “Complaint 26/0193”')
    expect(text).toContain('for Müller ([U+0416]).')
  })

  test('gives every act its line, and withheld and erased ones their leaf', async () => {
    const [told] = actsFor('supervisor', 1)
    if (told === undefined) throw new Error('no act')
    const { leaf, origin, index, underCheckpoint } = told
    const standing = { leaf, origin, index, underCheckpoint }
    const erasedBy = newId<EntryId>()
    const acts: Act[] = [
      { shown: 'withheld', day: '2026-11-26', ...standing },
      {
        shown: 'erased',
        entry: newId(),
        at: '2026-11-26T08:00:00.000Z',
        erasedBy,
        words: 'All was erased.',
        ...standing,
      },
      { shown: 'withheld', day: '2026-11-27', leaf, origin: null, index: null, underCheckpoint: false },
    ]
    const text = textOf(await wholeStatementPdf(statement, acts))
    expect(text).toContain('1. 2026-11-26 An act that is not told to the reader of this statement.')
    expect(text).toContain('2. 2026-11-26 08:00:00.000 UTC All was erased.')
    expect(text).toContain('not in the log yet')
    expect(text.split(leaf)).toHaveLength(4)
  })

  test('its pages are numbered, each with how many there are', async () => {
    const bytes = await wholeStatementPdf(statement, actsFor('supervisor', 60))
    const pages = pagesOf(bytes)
    expect(pages.length).toBeGreaterThan(5)
    for (const [at, page] of pages.entries()) {
      expect(page).toContain(`Page ${at + 1} `)
      expect(page).toContain(`Continuity statement, recording ${recording}`)
    }
    expect(bytes.toString('latin1')).toContain(`(of ${pages.length}) Tj`)
    expect(bytes.toString('latin1')).toContain(`/Count ${pages.length}`)
    expect(pages.flat().filter((line) => /^\d+\. 2026/.test(line))).toHaveLength(60)
    // A title is never alone at the foot of a page.
    for (const page of pages) expect(page.at(-1)).not.toMatch(/^\d+\. 2026/)
  })

  test('is a PDF whose table of objects is right', async () => {
    const bytes = await wholeStatementPdf(statement, actsFor('supervisor', 20))
    const text = bytes.toString('latin1')
    expect(text).toMatch(/^%PDF-1\.\d\n/)
    expect(text.trimEnd()).toMatch(/%%EOF$/)
    const start = Number(/startxref\n(\d+)/.exec(text)?.[1])
    expect(text.slice(start, start + 4)).toBe('xref')
    const offsets = [...text.slice(start).matchAll(/^(\d{10}) 00000 n/gm)].map(([, offset]) => Number(offset))
    expect(offsets.length).toBeGreaterThan(10)
    for (const [at, offset] of offsets.entries())
      expect(text.slice(offset, offset + 12)).toMatch(new RegExp(`^${at + 1} 0 obj`))
  })

  test('the same statement gives the same bytes, whether its acts come at once or bit by bit', async () => {
    const acts = actsFor('investigator', 40)
    const at = async function* () {
      for (const told of acts) yield [told]
    }
    const [once, again, slowly] = [
      await wholeStatementPdf(statement, acts),
      await wholeStatementPdf(statement, acts),
      await buffer(statementPdf(statement, at())),
    ]
    expect(hex(sha256(again))).toBe(hex(sha256(once)))
    expect(hex(sha256(slowly))).toBe(hex(sha256(once)))
    const later = await wholeStatementPdf({ ...statement, madeAt: '2026-11-28T09:00:00.000Z' }, acts)
    expect(hex(sha256(later))).not.toBe(hex(sha256(once)))
  })

  test('a reader that goes away ends the reading of acts, and nothing is read ahead of a slow one', async () => {
    const acts = actsFor('supervisor', 50)
    let read = 0
    let ended = false
    const endless = async function* () {
      try {
        for (;;) {
          read += 1
          yield acts
        }
      } finally {
        ended = true
      }
    }
    const stream = statementPdf(statement, endless())
    await new Promise((resolve) => stream.once('readable', resolve))
    await new Promise((resolve) => setImmediate(resolve))
    expect(read).toBeLessThan(20)
    stream.destroy()
    await new Promise((resolve) => stream.once('close', resolve))
    expect(ended).toBe(true)
  })

  test('an error while acts are read is an error of the stream, never a document that looks whole', async () => {
    const broken = async function* () {
      yield actsFor('supervisor', 10)
      throw new Error('the database went away')
    }
    await expect(buffer(statementPdf(statement, broken()))).rejects.toThrow('the database went away')
  })

  test('of a clip it says which range it is, and in a bundle how to check it there', async () => {
    const clip = {
      id: newId<ClipId>(),
      title: 'The arrest',
      start: 61.2,
      end: 91.2,
      state: 'ready' as const,
      method: 'encoded' as const,
      size: 10,
      sha256: hex(sha256('clip')),
    }
    const inBundle = { ...statement, facts: { ...facts, clip }, logs: [], checking: checkInBundle() }
    const text = textOf(await wholeStatementPdf(inBundle, []))
    expect(text).toContain('“The arrest”, asked for from 61.2 s to 91.2 s of the recording')
    expect(text).toContain(`SHA-256 of the clip: ${clip.sha256}`)
    expect(text).toContain('No log was begun yet')
    expect(text).toContain('in the folder proofs/')
    expect(text).toContain('End of the list: 0 acts.')
    const erased = { ...inBundle, facts: { ...facts, clip: { ...clip, title: null } } }
    expect(textOf(await wholeStatementPdf(erased, []))).toContain(
      'whose title was erased with the recording, asked for',
    )
  })
})

test('a text is broken at blanks, and a word that is too wide anywhere', () => {
  const measure = (text: string) => text.length
  expect(linesOf('one two three', 7, measure)).toEqual(['one two', 'three'])
  expect(linesOf('a aaaaaaaaaa b', 4, measure)).toEqual(['a', 'aaaa', 'aaaa', 'aa b'])
})
