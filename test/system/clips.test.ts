import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import { ClipAccepted, ClipsPage, ClipView } from '../../src/clips/schemas.ts'
import { roles } from '../../src/people/role.ts'
import type { TestApi } from '../api.ts'
import { catalogued } from '../catalogued.ts'
import { recorded } from '../clipped.ts'
import { ffmpeg } from '../shown.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
let folder: string
let recording: RecordingId
beforeAll(async () => {
  system = await startTestSystem({ env: { CLIPS_OWED: '500' } })
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-clips-'))
  const file = path.join(folder, 'footage.mp4')
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=6', '-c:v', 'libx264', '-g', '25', file)
  recording = await recorded(system.engines, file)
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const asked = { start: 1.5, end: 4.3, title: 'What happened', reason: 'case 12/3456' }
const address = () => `/api/v1/recordings/${recording}/clips`

describe('a clip', () => {
  test('is asked for, waited for and read, and stands in the list of its recording', async () => {
    const { status, headers, body } = await system.as('investigator', 'POST', address(), asked)
    expect(status).toBe(202)
    const { id } = Value.Parse(ClipAccepted, body)
    expect(headers.get('location')).toBe(`${system.api.url}/api/v1/clips/${id}`)
    const clip = await eventually('the clip', async () => {
      const answer = await system.as('investigator', 'GET', `/api/v1/clips/${id}`)
      const view = Value.Parse(ClipView, answer.body)
      return view.state === 'ready' ? view : undefined
    })
    expect(clip).toMatchObject({ recording, title: 'What happened', reason: 'case 12/3456', start: 1.5, end: 4.3 })
    expect(clip).toMatchObject({ frames: 70, method: 'copied-middle', progress: 1, failure: null })
    expect(clip.provenance).toMatchObject({ asked: { start: 1.5, end: 4.3 }, exact: { first: 1.52, frames: 70 } })
    await system.as('investigator', 'POST', address(), { ...asked, end: 2 })
    const first = Value.Parse(ClipsPage, (await system.as('disclosure', 'GET', `${address()}?limit=1`)).body)
    expect(first.items).toHaveLength(1)
    const second = await system.as('disclosure', 'GET', `${address()}?limit=1&cursor=${first.nextCursor}`)
    expect(Value.Parse(ClipsPage, second.body)).toMatchObject({ items: [{ id }], nextCursor: null })
    expect((await system.as('disclosure', 'GET', `${address()}?cursor=bm8`)).status).toBe(400)
  })

  test('is asked for by investigators and supervisors, and read by disclosure officers too', async () => {
    const answers = await Promise.all(
      roles.map(async (role) => {
        const { status: post } = await system.as(role, 'POST', address(), asked)
        const { status: get } = await system.as(role, 'GET', address())
        return [role, post, get] as const
      }),
    )
    expect(answers.filter(([, post]) => post === 202).map(([role]) => role)).toEqual(['investigator', 'supervisor'])
    const readers = answers.filter(([, , get]) => get === 200).map(([role]) => role)
    expect(readers).toEqual(['investigator', 'disclosure', 'supervisor'])
    expect((await system.ask('POST', address(), { json: asked })).status).toBe(401)
  })

  test.for<[string, Record<string, unknown>]>([
    ['a start that is text', { start: '1.5' }],
    ['a start that is nothing', { start: null }],
    ['a start before the beginning', { start: -0.001 }],
    ['an end that is no time', { end: 1e300 }],
    ['a reversed range', { start: 4, end: 2 }],
    ['an empty range', { start: 4, end: 4 }],
    ['an empty title', { title: '' }],
    ['a title of spaces', { title: '   ' }],
    ['a title of 201 characters', { title: 'x'.repeat(201) }],
    ['a title of two lines', { title: 'a\nb' }],
    ['a title with an escape', { title: 'a\u001b[31mb' }],
    ['a title that is no text', { title: 'a\ud800' }],
    ['no reason', { reason: ' ' }],
    ['something nobody asked for', { path: '/etc/passwd' }],
  ])('with %s is refused', async ([, wrong]) => {
    const { status, body } = await system.as('investigator', 'POST', address(), { ...asked, ...wrong })
    expect({ status, code: Object(body).code }).toEqual({ status: 400, code: 'bad-request' })
  })

  test.for(['NaN', 'Infinity', '1e999', '-1e999'])('whose end is %s is refused', async (end) => {
    const token = await system.issuer.tokenFor('investigator')
    const body = `{"start": 1, "end": ${end}, "title": "t", "reason": "r"}`
    const headers = { 'content-type': 'application/json' }
    const answer = await system.ask('POST', address(), { token, body, headers })
    expect({ status: answer.status, code: Object(answer.body).code }).toEqual({ status: 400, code: 'bad-request' })
  })

  test('of what is beyond the end, or not there yet, is refused with what to do', async () => {
    const beyond = await system.as('investigator', 'POST', address(), { ...asked, end: 9 })
    expect([beyond.status, Object(beyond.body).code]).toEqual([422, 'clip-outside-recording'])
    const early = await catalogued(system.engines, { status: 'verified' })
    const answer = await system.as('investigator', 'POST', `/api/v1/recordings/${early}/clips`, asked)
    expect([answer.status, Object(answer.body).code]).toEqual([409, 'not-ready'])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})
