import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/base/ids.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { ClipAccepted, ClipView } from '../../src/clips/schemas.ts'
import { StoryView } from '../../src/continuity/schemas.ts'
import { currentLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { type Role, roles } from '../../src/people/role.ts'
import { ViewingOpened } from '../../src/viewings/schemas.ts'
import type { Answer, TestApi } from '../api.ts'
import { aReference } from '../case-files.ts'
import { entriesAbout } from '../catalogued.ts'
import { enrolDriver } from '../dock-driver.ts'
import { pagesOf, textOf } from '../pdf-text.ts'
import { ffmpeg } from '../shown.ts'
import { eventually, startTestSystem } from '../system.ts'

const run = promisify(execFile)
const Made = Type.Object({ id: Type.String() })

let system: TestApi
let folder: string
let recording: string
let clip: string
let caseId: string
let exhibit: string
let dock: string

/** One request of the person `sub`, who holds the role. */
const by = async (sub: string, role: Role, method: string, address: string, json?: unknown): Promise<Answer> => {
  const token = await system.issuer.tokenFor(role, { sub, name: `The name of ${sub}` })
  return await system.ask(method, `/api/v1${address}`, { token, ...(json === undefined ? {} : { json }) })
}
const asha = async (method: string, address: string, json?: unknown) =>
  await by('asha', 'investigator', method, address, json)
const idIn = ({ body, text }: Answer): string => {
  if (!Value.Check(Made, body)) throw new Error(`nothing was made: ${text}`)
  return body.id
}

/** Footage on its whole way, over HTTP alone: brought by a dock, watched, clipped, put into a case, downloaded. */
beforeAll(async () => {
  system = await startTestSystem()
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-continuity-'))
  const file = path.join(folder, 'BWC_0417.mp4')
  const source = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=4', '-f', 'lavfi', '-i', 'sine=d=4']
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', file)
  const driver = await enrolDriver(system.api.url, system.issuer)
  dock = driver.id
  const footage = await driver.create(await readFile(file), { name: 'BWC_0417.mp4' })
  await driver.finish(footage)
  recording = (await driver.receipt(footage)).recordingId
  const viewing = await eventually('a viewing', async () => {
    const answer = await by('ben', 'investigator', 'POST', `/recordings/${recording}/viewings`, {
      reason: 'Complaint 26/0193',
    })
    return Value.Check(ViewingOpened, answer.body) ? answer.body : undefined
  })
  await system.ask('POST', new URL(viewing.playlistUrl).pathname.replace(/playlist\.m3u8$/, 'close'))
  const wanted = { start: 1, end: 2, title: 'The arrest', reason: 'Disclosure' }
  const asked = await asha('POST', `/recordings/${recording}/clips`, wanted)
  clip = Value.Parse(ClipAccepted, asked.body).id
  await eventually('the clip', async () => {
    const { body } = await asha('GET', `/clips/${clip}`)
    return Value.Check(ClipView, body) && body.state === 'ready' ? body : undefined
  })
  caseId = idIn(await asha('POST', '/cases', { reference: aReference(), title: 'Robbery at Station Road' }))
  const words = { reference: 'AB/1', sensitivity: 'none', description: 'The arrest' }
  exhibit = idIn(await asha('POST', `/cases/${caseId}/exhibits`, { clipId: clip, ...words }))
  await asha('POST', `/recordings/${recording}/downloads`, { reason: 'To compare' })
}, 120_000)
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

type Story = ReturnType<typeof storyIn>
const storyIn = ({ status, body, text }: Answer) => {
  expect(status, text).toBe(200)
  return Value.Parse(StoryView, body)
}
const ofRecording = async (sub: string, role: Role, query = '?limit=200'): Promise<Story> =>
  storyIn(await by(sub, role, 'GET', `/recordings/${recording}/custody${query}`))
const shownIn = ({ acts }: Story) => acts.flatMap((act) => ('disclosed' in act ? [act] : []))
const actionsIn = (story: Story): string[] => story.acts.map((act) => ('action' in act ? act.action : act.shown))

/** By python alone, with no code of ours: the leaf of each act, out of what was answered for it. */
const computeLeaves = `
import hashlib, json, sys
text = lambda value: json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()
for act in json.load(sys.stdin)['acts']:
    if 'disclosed' not in act:
        print(act['leaf'])
        continue
    entry, salt, parts = (act['disclosed'][name] for name in ('entry', 'salt', 'parts'))
    for name, part in parts.items():
        assert hashlib.sha256(bytes.fromhex(part['salt']) + text(part['value'])).hexdigest() == entry['sealed'][name], name
    for name, digest in act['sealed'].items():
        assert name not in parts and entry['sealed'][name] == digest, name
    assert set(parts) | set(act['sealed']) == set(entry['sealed'])
    print(hashlib.sha256(bytes.fromhex(salt) + text(entry)).hexdigest())`

const leavesBy = async (answer: Answer): Promise<string[]> => {
  const file = path.join(folder, `${newId()}.json`)
  await writeFile(file, answer.text)
  const { stdout } = await run('sh', ['-c', `python3 -c "$0" < "$1"`, computeLeaves, file])
  return stdout.trim().split('\n')
}

describe('the story of a recording over HTTP', () => {
  test('runs from the camera until now', async () => {
    const story = await ofRecording('sue', 'supervisor')
    expect(story.subject).toEqual({ type: 'recording', id: recording })
    expect(story.facts).toMatchObject({ recording, filename: 'BWC_0417.mp4', status: 'active', clip: null })
    const steps = ['upload.created', 'upload.stored', 'recording.verified', 'recording.examined', 'rendition.made']
    const then = ['recording.viewing', 'recording.viewing-ended', 'clip.request', 'clip.cut', 'clip.read']
    const last = ['exhibit.added', 'recording.download', 'custody.read']
    const actions = actionsIn(story)
    for (const action of [...steps, ...then, ...last]) expect(actions).toContain(action)
    const order = [...steps.slice(0, 4), 'recording.viewing', 'clip.request', 'exhibit.added', 'recording.download']
    const places = order.map((action) => actions.indexOf(action))
    expect(places).toEqual(places.toSorted((one, other) => one - other))
    const times = shownIn(story).map(({ at }) => at)
    expect(times).toEqual(times.toSorted())
    const [created] = shownIn(story)
    expect(created).toMatchObject({ who: { kind: 'dock', id: dock }, operation: 'collection' })
  })

  test('is answered by role: to those who may know of the recording, and to auditors', async () => {
    const statuses = await Promise.all(
      roles.map(async (role) => {
        const { status } = await system.as(role, 'GET', `/api/v1/recordings/${recording}/custody`)
        const { status: ofClip } = await system.as(role, 'GET', `/api/v1/clips/${clip}/custody`)
        return [role, status, ofClip]
      }),
    )
    expect(statuses).toEqual([
      ['officer', 404, 404],
      ['investigator', 200, 200],
      ['disclosure', 200, 200],
      ['supervisor', 200, 200],
      ['retention', 200, 404],
      ['auditor', 200, 200],
      ['admin', 403, 403],
    ])
    expect((await system.ask('GET', `/api/v1/recordings/${recording}/custody`)).status).toBe(401)
    const { token } = await system.enrol()
    expect((await system.ask('GET', `/api/v1/recordings/${recording}/custody`, { token })).status).toBe(403)
    for (const role of ['supervisor', 'auditor'] as const) {
      expect((await system.as(role, 'GET', `/api/v1/recordings/${newId()}/custody`)).status).toBe(404)
      expect((await system.as(role, 'GET', '/api/v1/clips/nonsense/custody')).status).toBe(404)
    }
    const refusals = (await entriesAbout(system.engines, recording)).filter(({ outcome }) => outcome === 'denied')
    expect(refusals.map(({ action }) => action)).toContain('custody.read')
  })

  test.for([
    ['sue', 'supervisor'],
    ['ada', 'auditor'],
    ['asha', 'investigator'],
    ['ben', 'investigator'],
    ['dora', 'disclosure'],
    ['rita', 'retention'],
  ] as const)('gives %s, %s, what every leaf is computed from with ordinary tools', async ([sub, role]) => {
    const answer = await by(sub, role, 'GET', `/recordings/${recording}/custody?limit=200`)
    const { acts } = storyIn(answer)
    expect(await leavesBy(answer)).toEqual(acts.map(({ leaf }) => leaf))
    const rows = await system.engines.db.selectFrom('entries').select('leaf').execute()
    const leaves = new Set(rows.map(({ leaf }) => leaf.toString('hex')))
    for (const { leaf } of acts) expect(leaves).toContain(leaf)
  })

  test('shows a name and a reason to whom they may be shown, and their seals to others', async () => {
    const [toSue, toBen, toDora] = [
      await ofRecording('sue', 'supervisor'),
      await ofRecording('ben', 'investigator'),
      await ofRecording('dora', 'disclosure'),
    ]
    const viewingIn = (story: Story) => shownIn(story).find(({ action }) => action === 'recording.viewing')
    for (const story of [toSue, toBen])
      expect(viewingIn(story)).toMatchObject({ who: { name: 'The name of ben' }, why: 'Complaint 26/0193', sealed: {} })
    expect(viewingIn(toDora)).toMatchObject({
      who: null,
      sealed: { actor: expect.any(String), purpose: expect.any(String) },
    })
    expect(JSON.stringify(toDora)).not.toMatch(/name of ben|26\/0193|To compare/)
  })

  test('tells those who are in no case of it nothing of the case, in JSON and on paper', async () => {
    for (const [sub, role] of [
      ['ben', 'investigator'],
      ['dora', 'disclosure'],
      ['rita', 'retention'],
    ] as const) {
      const story = await ofRecording(sub, role)
      const withheld = story.acts.filter(({ shown }) => shown === 'withheld')
      expect(withheld).toHaveLength(1)
      expect(Object.keys(Object(withheld[0])).sort()).toEqual([
        'day',
        'index',
        'leaf',
        'origin',
        'shown',
        'underCheckpoint',
      ])
      const paper = await by(sub, role, 'GET', `/recordings/${recording}/custody?format=pdf`)
      for (const text of [JSON.stringify(story), textOf(Buffer.from(paper.text))])
        for (const secret of [caseId, exhibit, 'AB/1', 'Station Road', 'exhibit.added'])
          expect(text).not.toContain(secret)
    }
    expect(actionsIn(await ofRecording('asha', 'investigator'))).toContain('exhibit.added')
  })

  test('tells of those as well whose role does not let them at the footage, each recording by itself', async () => {
    const other = await by('olga', 'officer', 'POST', `/recordings/${newId()}/downloads`, { reason: 'To keep it' })
    expect(other.status).toBe(403)
    for (const address of [`/recordings/${recording}/downloads`, `/clips/${clip}/downloads`])
      expect((await by('olga', 'officer', 'POST', address, { reason: 'To keep it' })).status).toBe(403)
    const acts = shownIn(await ofRecording('sue', 'supervisor'))
    const tried = acts.filter(({ who, outcome }) => who?.name === 'The name of olga' && outcome === 'denied')
    expect(tried.map(({ action, subject }) => [action, subject])).toEqual([
      ['recording.download', { type: 'recording', id: recording }],
      ['clip.download', { type: 'clip', id: clip }],
    ])
    expect(tried[0]?.words).toMatch(/^Somebody asked .*, and was refused\.$/)
  })

  test('is under a signed head of the log soon, and each act proves to be there to anybody', async () => {
    const story = await eventually('a head over all that was done before', async () => {
      const found = await ofRecording('ada', 'auditor')
      return found.acts.slice(0, 12).every(({ underCheckpoint }) => underCheckpoint) ? found : undefined
    })
    const log = await currentLog(system.engines.db)
    if (log === undefined) throw new Error('no log')
    expect(story.logs).toMatchObject([{ origin: log.origin, vkey: expect.stringContaining(`${log.origin}+`) }])
    for (const act of shownIn(story).slice(0, 12)) {
      const { status, text } = await system.ask('GET', `/api/v1/ledger/proofs/${act.entry}`)
      expect(status).toBe(200)
      const proof = parseProof(text)
      if (proof === null) throw new Error(`no proof: ${text}`)
      expect(proof.index).toBe(act.index)
      expect(verifyProof(proof, Buffer.from(act.leaf, 'hex'), logKeyOf(log))).toHaveProperty('head')
    }
  })

  test('comes in pages that end, and whole on paper', async () => {
    const acts: Story['acts'] = []
    let query = '?limit=5'
    for (let pages = 0; pages < 50; pages += 1) {
      const story = await ofRecording('sue', 'supervisor', query)
      expect(story.acts.length).toBeLessThanOrEqual(5)
      acts.push(...story.acts)
      if (story.nextCursor === null) break
      query = `?limit=5&cursor=${encodeURIComponent(story.nextCursor)}`
    }
    const whole = await ofRecording('sue', 'supervisor')
    expect(acts.map(({ leaf }) => leaf)).toEqual(whole.acts.map(({ leaf }) => leaf).slice(0, acts.length))
    expect(acts.at(-1)).toMatchObject({ action: 'custody.read' })
    for (const bad of ['?cursor=bm8', '?limit=0', '?limit=201', '?format=html', '?all=true', '?format=pdf&cursor=bm8'])
      expect((await by('sue', 'supervisor', 'GET', `/recordings/${recording}/custody${bad}`)).status, bad).toBe(400)
  })
})

describe('the story of a clip over HTTP', () => {
  test('has its own acts and those of the recording it was cut from', async () => {
    const story = storyIn(await by('sue', 'supervisor', 'GET', `/clips/${clip}/custody?limit=200`))
    expect(story.subject).toEqual({ type: 'clip', id: clip })
    expect(story.facts).toMatchObject({ recording, clip: { id: clip, title: 'The arrest', start: 1, end: 2 } })
    expect(actionsIn(story)).toEqual(
      expect.arrayContaining(['upload.stored', 'recording.verified', 'clip.cut', 'exhibit.added']),
    )
    const cut = shownIn(story).find(({ action }) => action === 'clip.cut')
    expect(cut?.changed).toEqual({ what: 'clip', before: story.facts.sha256, after: story.facts.clip?.sha256 })
  })
})

describe('the continuity statement over HTTP', () => {
  const asked = async (address: string, accept?: string) => {
    const token = await system.issuer.tokenFor('supervisor', { sub: 'sue', name: 'The name of sue' })
    const headers = { authorization: `Bearer ${token}`, ...(accept === undefined ? {} : { accept }) }
    return await fetch(`${system.api.url}/api/v1${address}`, { headers })
  }

  test('is a PDF to whoever asks for one, by the query or by what it accepts', async () => {
    for (const response of [
      await asked(`/recordings/${recording}/custody?format=pdf`),
      await asked(`/recordings/${recording}/custody`, 'application/pdf'),
      await asked(`/clips/${clip}/custody`, 'text/html, application/pdf;q=0.9'),
    ]) {
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('application/pdf')
      expect(response.headers.get('content-disposition')).toMatch(
        /^attachment; filename="continuity-[0-9a-f-]{36}\.pdf"$/,
      )
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('vary')).toMatch(/accept/i)
      const bytes = Buffer.from(await response.arrayBuffer())
      expect(bytes.subarray(0, 5).toString()).toBe('%PDF-')
      expect(bytes.toString('latin1').trimEnd().endsWith('%%EOF')).toBe(true)
    }
    const json = await asked(`/recordings/${recording}/custody?format=json`, 'application/pdf')
    expect(json.headers.get('content-type')).toMatch(/^application\/json/)
  })

  test('can be read in court: what, by whom, when, why, the digests, the log and how to check it', async () => {
    const response = await asked(`/recordings/${recording}/custody?format=pdf`)
    const pages = pagesOf(Buffer.from(await response.arrayBuffer()))
    const text = pages.flat().join(' ')
    const { facts, logs, acts } = await ofRecording('sue', 'supervisor')
    expect(text).toContain('The chain of custody of recording')
    expect(text).toContain(`SHA-256 of the recording: ${facts.sha256}`)
    expect(text).toContain('Why: “Complaint 26/0193”')
    expect(text).toContain('Who: person The name of ben')
    expect(text).toContain(`Origin: ${logs[0]?.origin}`)
    expect(text).toContain('AB/1, a clip, was put into the case.')
    expect(text).toContain('How to check this')
    expect(pages.every((page, at) => page.includes(`Page ${at + 1} `))).toBe(true)
    expect(text).toContain(`End of the list: ${acts.length - 1} acts.`)
    expect((await entriesAbout(system.engines, recording)).at(-2)).toMatchObject({
      action: 'custody.read',
      detail: { format: 'pdf' },
    })
  })

  test('is refused like the story', async () => {
    const { status, headers, body } = await system.as(
      'officer',
      'GET',
      `/api/v1/recordings/${recording}/custody?format=pdf`,
    )
    expect(status).toBe(404)
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(body).toMatchObject({ code: 'not-found' })
  })
})
