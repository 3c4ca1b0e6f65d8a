import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, startTestApi, type TestApi } from '../api.ts'

let system: TestApi
let token: string
beforeAll(async () => {
  system = await startTestApi()
  token = (await system.enrol()).token
})
afterAll(async () => await system[Symbol.asyncDispose]())

const codeIn = (answer: Answer): string => `${answer.status} ${String((answer.body as { code?: string }).code)}`

test('manifests that are too deep, too large or of the wrong type are refused in words', async () => {
  const announce = async (body: string) => await system.ask('POST', '/api/v1/docks/manifests', { token, body })
  const file = { name: 'a.mp4', size: 1, sha256: 'a'.repeat(64), recordedAt: '2026-11-20T08:00:00Z' }
  expect(codeIn(await announce('{'))).toBe('400 bad-request')
  expect(codeIn(await announce(`${'['.repeat(10_000)}${']'.repeat(10_000)}`))).toBe('400 bad-request')
  expect(codeIn(await announce(JSON.stringify({ camera: 'C', files: [{ ...file, size: '1' }] })))).toBe(
    '400 bad-request',
  )
  expect(codeIn(await announce(JSON.stringify({ camera: 'C', files: [{ ...file, sha256: 'A'.repeat(64) }] })))).toBe(
    '400 bad-request',
  )
  expect(codeIn(await announce(JSON.stringify({ camera: 'C', files: [file], more: true })))).toBe('400 bad-request')
  expect(codeIn(await announce(JSON.stringify({ camera: 'C', files: [file, file] })))).toBe('400 bad-request')
  expect(codeIn(await announce(JSON.stringify({ camera: 'C\u0000', files: [file] })))).toBe('400 bad-request')
  expect(codeIn(await announce(`{"camera":"C","files":[],"x":"${'a'.repeat(9 * 1024 * 1024)}"}`))).toBe('413 too-large')
  expect(codeIn(await system.ask('GET', '/api/v1/cameras/C/shortfall?colour=blue', { token }))).toBe('400 bad-request')
  expect((await announce(JSON.stringify({ camera: 'C', files: [file] }))).status).toBe(200)
})

test('a manifest answers what is owed, and the shortfall what never arrived', async () => {
  const file = {
    name: 'b.mp4',
    size: 7,
    sha256: createHash('sha256').update('missing').digest('hex'),
    recordedAt: '2026-11-20T08:00:00Z',
    number: 9,
  }
  const answer = await system.ask('POST', '/api/v1/docks/manifests', {
    token,
    json: { camera: 'CAM-S', files: [file] },
  })
  expect(answer.body).toEqual({ items: [{ name: 'b.mp4', sha256: file.sha256, state: 'owed' }] })
  const shortfall = await system.as('supervisor', 'GET', '/api/v1/cameras/CAM-S/shortfall')
  expect(shortfall.body).toMatchObject({ items: [{ name: 'b.mp4', number: 9, sha256: file.sha256 }], nextCursor: null })
})
