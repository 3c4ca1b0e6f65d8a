import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestApi } from '../api.ts'
import { altered, boxAt, openStudio, type Studio } from '../footage.ts'
import { listening } from '../loopback.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
let studio: Studio
let token: string
beforeAll(async () => {
  system = await startTestSystem()
  studio = await openStudio()
  token = (await system.enrol()).token
})
afterAll(async () => {
  await studio[Symbol.asyncDispose]()
  await system[Symbol.asyncDispose]()
})

type Recording = {
  id: string
  status: string
  flags: string[]
  tracks: { kind: string }[]
  duration: number | null
  sha256: string
}

/** Sends a file in one request with its creation, and answers the recording once the house has looked into it. */
const custodyOf = async (bytes: Buffer, filename = 'BWC_0001.MP4'): Promise<Recording> => {
  const b64 = (text: string) => Buffer.from(text).toString('base64')
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const facts = { filename, camera: 'CAM-F', recordedAt: '2026-11-20T08:00:00Z', sha256 }
  const created = await fetch(`${system.api.url}/api/v1/uploads`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'tus-resumable': '1.0.0',
      'content-type': 'application/offset+octet-stream',
      'upload-length': String(bytes.length),
      'upload-metadata': Object.entries(facts)
        .map(([key, value]) => `${key} ${b64(value)}`)
        .join(','),
    },
    body: new Uint8Array(bytes),
  })
  expect(created.status).toBe(201)
  const path = new URL(created.headers.get('location') ?? '').pathname
  const receipt = await eventually('the receipt', async () => {
    const answer = await system.ask('GET', `${path}/receipt`, { token })
    return answer.status === 200 ? answer.text : undefined
  })
  const claims = JSON.parse(Buffer.from(receipt.split('.')[1] ?? '', 'base64url').toString())
  expect(claims).toMatchObject({ size: bytes.length, sha256, filename })
  return await eventually('the examination', async () => {
    const recording = (await system.as('investigator', 'GET', `/api/v1/recordings/${claims.recordingId}`))
      .body as Recording
    return recording.status === 'active' ? recording : undefined
  })
}

test('ordinary footage is in custody with its tracks and duration, and without a flag', async () => {
  const recording = await custodyOf(await readFile(await studio.make('good.mp4', { seconds: 4 })))
  expect(recording).toMatchObject({ flags: [], duration: expect.closeTo(4, 0) })
  expect(recording.tracks.map((track) => track.kind).sort()).toEqual(['audio', 'video'])
})

test('footage cut off at its end is evidence: received, flagged, and fetched again equal to the byte', async () => {
  const whole = await studio.make('fragments.mp4', { layout: 'fragmented' })
  const bytes = await altered(whole, (all) => all.subarray(0, all.length - 2000))
  const recording = await custodyOf(bytes)
  expect(recording.flags).toEqual(['truncated'])
  const download = await system.as('investigator', 'POST', `/api/v1/recordings/${recording.id}/downloads`, {
    reason: 'to see the end',
  })
  const { url } = download.body as { url: string }
  expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true)
})

test('a file without its index is received and flagged', async () => {
  const whole = await studio.make('last.mp4', { layout: 'index-last' })
  const recording = await custodyOf(await altered(whole, (all) => all.subarray(0, boxAt(all, 'moov').start)))
  expect(recording.flags).toContain('truncated')
})

const notFootage: [string, Buffer][] = [
  ['a text', Buffer.from('This is no video.\n'.repeat(50))],
  ['zeros', Buffer.alloc(300_000)],
  ['an empty ZIP', Buffer.from('504b0506000000000000000000000000000000000000', 'hex')],
  ['one byte', Buffer.from([0])],
]
test.each(notFootage)(
  '%s named .mp4 is never refused: it is received, flagged unplayable and has its receipt',
  async (_what, bytes) => {
    expect((await custodyOf(bytes)).flags).toContain('unplayable')
  },
)

test('a playlist named .mp4 that points elsewhere is received and opens nothing', async () => {
  await using listener = await listening()
  const secret = await studio.write('secret.txt', 'what-nobody-may-read-here')
  const playlist = `#EXTM3U\n#EXTINF:1,\nfile://${secret}\n#EXTINF:1,\nhttp://127.0.0.1:${listener.port}/a.ts\n`
  const recording = await custodyOf(Buffer.from(playlist), '../../playlist.mp4')
  expect(recording.flags).toContain('unplayable')
  expect(JSON.stringify(recording)).not.toContain('what-nobody')
  expect(listener.visits()).toBe(0)
})

test('an admin and an auditor cannot learn of footage, and an officer only of their own', async () => {
  const { id } = await custodyOf(await readFile(await studio.make('own.mp4', { seconds: 2 })))
  for (const role of ['admin', 'auditor'] as const) {
    expect((await system.as(role, 'GET', `/api/v1/recordings/${id}`)).status).toBe(403)
    expect((await system.as(role, 'POST', `/api/v1/recordings/${id}/downloads`, { reason: 'r' })).status).toBe(403)
  }
  const asOfficer = async (collar: string) =>
    await system.ask('GET', `/api/v1/recordings/${id}`, {
      token: await system.issuer.tokenFor('officer', { sub: collar, collar_number: collar }),
    })
  const assigned = await system.as('admin', 'PUT', '/api/v1/cameras/CAM-F/assignment', {
    officer: 'PC42',
    from: '2026-11-20T00:00:00Z',
    to: '2026-11-21T00:00:00Z',
  })
  expect(assigned.status, assigned.text).toBeLessThan(300)
  expect((await asOfficer('PC42')).status).toBe(200)
  expect((await asOfficer('PC43')).status).toBe(404)
})
