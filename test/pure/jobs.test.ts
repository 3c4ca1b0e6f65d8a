import { describe, expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from '../../src/base/cursor.ts'
import { Problem } from '../../src/base/problem.ts'
import { ScratchFull } from '../../src/engines/scratch.ts'
import { isPayloadOf } from '../../src/jobs/catalogue.ts'
import { backOff, isOutage, wordsOf } from '../../src/jobs/job.ts'

describe('what a failed job says', () => {
  test('is the detail of a problem, or the message of an error', () => {
    expect(wordsOf(new Problem('conflict', 'The part is missing.'))).toBe('The part is missing.')
    expect(wordsOf(new Problem('store-unavailable'))).toBe('The object store does not answer')
    expect(wordsOf(new Error('no index was found'))).toBe('no index was found')
    expect(wordsOf('a string')).toBe('something that is not an error was thrown')
  })

  test('never holds a path, a statement, or characters that a database cannot keep', () => {
    const missing = Object.assign(new Error("ENOENT: no such file or directory, open '/tmp/exhibit/a b/in.mp4'"), {
      code: 'ENOENT',
      syscall: 'open',
    })
    expect(wordsOf(missing)).toBe('open failed with ENOENT')
    const refused = Object.assign(new Error('duplicate key value violates unique constraint "x"'), {
      code: '23505',
      severity: 'ERROR',
      detail: 'Key (serial)=(X81) already exists.',
    })
    expect(wordsOf(refused)).toBe('the database refused a statement (23505)')
    expect(wordsOf(new Error('file:/tmp/exhibit/019a/in.mp4: Invalid data\0\u001b[31m \ud800'))).toBe(
      'file:…: Invalid data  [31m \ufffd',
    )
    expect(wordsOf(new Error('http://127.0.0.1:8333/bucket/key answered 500'))).toBe(
      'http://127.0.0.1:8333/bucket/key answered 500',
    )
  })

  test('keeps the end of what the program said, and no more than a page of it', () => {
    const long = wordsOf(
      Object.assign(new Error('m'.repeat(10_000)), { detail: `${'d'.repeat(10_000)} moov atom not found` }),
    )
    expect(long.length).toBeLessThan(2100)
    expect(long).toMatch(/moov atom not found$/)
  })
})

test('the wait doubles with each failure, up to a quarter of an hour, and during an outage up to a minute', () => {
  expect([1, 2, 3, 8, 30].map((nth) => backOff(nth, false, 0.5))).toEqual([1, 2, 4, 128, 900])
  expect([1, 2, 3, 8, 5000].map((nth) => backOff(nth, true, 0.5))).toEqual([1, 2, 4, 60, 60])
  expect(backOff(3, false, 0)).toBe(3)
  expect(backOff(3, false, 1)).toBe(5)
})

test('a store or a database that is away, or a full scratch disk, is told from a fault of the job', () => {
  expect(isOutage(new ScratchFull())).toBe(true)
  expect(isOutage(Object.assign(new Error('no space left on device, write'), { code: 'ENOSPC' }))).toBe(true)
  expect(isOutage(new Problem('store-unavailable'))).toBe(true)
  expect(isOutage(new Problem('database-unavailable'))).toBe(true)
  expect(isOutage(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))).toBe(true)
  expect(isOutage(new Problem('conflict'))).toBe(false)
  expect(isOutage(new Error('no index was found'))).toBe(false)
})

test('a payload that is not what the work needs is refused', () => {
  const id = '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091'
  expect(isPayloadOf('clear-upload', { uploadId: id })).toBe(true)
  expect(isPayloadOf('clear-upload', { recordingId: id })).toBe(false)
  expect(isPayloadOf('clear-upload', { uploadId: 'x' })).toBe(false)
  expect(isPayloadOf('clear-upload', null)).toBe(false)
})

describe('a cursor', () => {
  test('gives back what it was made of', () => {
    expect(decodeCursor(encodeCursor(['2026-11-25T22:15:00.000Z', 'ü/+']))).toEqual(['2026-11-25T22:15:00.000Z', 'ü/+'])
  })

  test.each([
    '',
    'x',
    '!!!',
    'bnVsbA',
    encodeCursor([]),
    Buffer.from('[1]').toString('base64url'),
    encodeCursor(['a'.repeat(257)]),
  ])('that was not made here is a bad request: %s', (text) => {
    expect(() => decodeCursor(text)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
