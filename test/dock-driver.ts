import { createHash, randomBytes } from 'node:crypto'
import { type IncomingHttpHeaders, request } from 'node:http'
import { Value } from 'typebox/value'
import type { DockId, UploadId } from '../src/base/ids.ts'
import type { ReceiptClaims } from '../src/custody/receipt.ts'
import { publicKeysIn, verifyReceipt } from '../src/custody/verify-receipt.ts'
import { Enrolled } from '../src/docks/schemas.ts'
import { eventually } from './system.ts'
import { dockToken, makeDockKey, type TestIssuer } from './tokens.ts'

export type Reply = { status: number; headers: IncomingHttpHeaders; text: string }

/** A request under way. `answer` is undefined when the connection broke before there was one. */
type Sending = {
  /** Resolves when the bytes have left, or never will. */
  write(bytes: Buffer): Promise<void>
  end(): void
  answer: Promise<Reply | undefined>
}

/** An upload of a file as its dock sees it. `acknowledged` is the offset that the last answer gave. */
export type Footage = { id: UploadId; bytes: Buffer; camera: string; acknowledged: number }

type Facts = { camera?: string; name?: string }
type Patch = { from: number; to?: number; checksum: boolean }

export type DockDriver = {
  id: DockId
  create(bytes: Buffer, facts?: Facts): Promise<Footage>
  /** Where the upload stands. Throws when that is before a byte that was acknowledged. */
  head(footage: Footage): Promise<number>
  /** Begins a PATCH whose body the test hands over. */
  begin(footage: Footage, patch: Patch): Promise<Sending>
  /** A whole PATCH, from `from` to `to` or the file's end. */
  patch(footage: Footage, patch: Patch): Promise<Reply | undefined>
  /** Asks where the upload stands and sends what is missing; answers when every byte is acknowledged. */
  finish(footage: Footage): Promise<void>
  /** Waits for the receipt, and verifies it with the published keys. */
  receipt(footage: Footage, seconds?: number): Promise<ReceiptClaims>
}

const tus = { 'tus-resumable': '1.0.0' }
const uploadIdIn = (location: string): UploadId => location.slice(location.lastIndexOf('/') + 1) as UploadId

const send = (method: string, url: string, headers: Record<string, string | number>): Sending => {
  const sent = request(url, { method, headers, agent: false })
  const answer = new Promise<Reply | undefined>((resolve) => {
    const broken = () => resolve(undefined)
    sent.on('error', broken)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      response.on('error', broken)
    })
  })
  return {
    answer,
    write: async (bytes) => {
      const left = new Promise<void>((resolve) => sent.write(bytes, () => resolve()))
      await Promise.race([left, answer])
    },
    end: () => void sent.end(),
  }
}

const whole = async (sending: Sending, body?: Buffer): Promise<Reply | undefined> => {
  if (body !== undefined) await sending.write(body)
  sending.end()
  return await sending.answer
}

/** What a dock does, with its own key, at the api's address; enrolled there by an administrator. */
export const enrolDriver = async (url: string, issuer: TestIssuer): Promise<DockDriver> => {
  const base = `${url}/api/v1`
  const key = makeDockKey()
  const enrolment = JSON.stringify({
    name: `Desk ${randomBytes(4).toString('hex')}`,
    site: 'Central',
    publicKey: key.publicKey,
  })
  const asAdmin = { authorization: `Bearer ${await issuer.tokenFor('admin')}`, 'content-type': 'application/json' }
  const enrolled = await whole(send('POST', `${base}/docks`, asAdmin), Buffer.from(enrolment))
  const document: unknown = JSON.parse(enrolled?.text ?? 'null')
  if (!Value.Check(Enrolled, document)) throw new Error(`the dock was not enrolled: ${enrolled?.text}`)
  const { id } = document

  const begun = async (method: string, path: string, headers: Record<string, string | number> = {}) =>
    send(method, `${base}${path}`, { ...tus, authorization: `Bearer ${await dockToken(id, key)}`, ...headers })

  const noted = (footage: Footage, reply: Reply | undefined): Reply | undefined => {
    if (reply?.status === 204) footage.acknowledged = Number(reply.headers['upload-offset'])
    return reply
  }

  const begin: DockDriver['begin'] = async (footage, { from, to = footage.bytes.length, checksum }) => {
    const digest = createHash('sha256').update(footage.bytes.subarray(from, to)).digest('base64')
    const sending = await begun('PATCH', `/uploads/${footage.id}`, {
      'content-type': 'application/offset+octet-stream',
      'content-length': to - from,
      'upload-offset': from,
      ...(checksum ? { 'upload-checksum': `sha256 ${digest}` } : {}),
    })
    return { ...sending, answer: sending.answer.then((reply) => noted(footage, reply)) }
  }

  const patch: DockDriver['patch'] = async (footage, wanted) =>
    await whole(await begin(footage, wanted), footage.bytes.subarray(wanted.from, wanted.to))

  const head: DockDriver['head'] = async (footage) => {
    const reply = await whole(await begun('HEAD', `/uploads/${footage.id}`))
    if (reply?.status !== 200) throw new Error(`HEAD answered ${reply?.status}`)
    const offset = Number(reply.headers['upload-offset'])
    if (offset < footage.acknowledged)
      throw new Error(`${footage.acknowledged} bytes were acknowledged, ${offset} are there`)
    return offset
  }

  return {
    id,
    begin,
    patch,
    head,
    create: async (bytes, { camera = `CAM-${randomBytes(4).toString('hex')}`, name = 'BWC_0001.MP4' } = {}) => {
      const facts = {
        filename: name,
        camera,
        recordedAt: '2026-11-20T08:00:00Z',
        sha256: createHash('sha256').update(bytes).digest('hex'),
      }
      const metadata = Object.entries(facts).map(([word, value]) => `${word} ${Buffer.from(value).toString('base64')}`)
      const reply = await whole(
        await begun('POST', '/uploads', { 'upload-length': bytes.length, 'upload-metadata': metadata.join(',') }),
      )
      if (reply?.status !== 201) throw new Error(`the creation was answered by ${reply?.status}: ${reply?.text}`)
      return { id: uploadIdIn(reply.headers.location ?? ''), bytes, camera, acknowledged: 0 }
    },
    finish: async (footage) => {
      const from = await head(footage)
      if (from === footage.bytes.length) return
      const reply = await patch(footage, { from, checksum: true })
      if (reply?.status !== 204) throw new Error(`the rest was answered by ${reply?.status}: ${reply?.text}`)
    },
    receipt: async (footage, seconds = 60) => {
      const jws = await eventually(
        'the receipt',
        async () => {
          const reply = await whole(await begun('GET', `/uploads/${footage.id}/receipt`))
          if (reply?.status === 200) return reply.text
          if (reply !== undefined && reply.status !== 202 && reply.status !== 503)
            throw new Error(`the receipt was answered by ${reply.status}: ${reply.text}`)
          return undefined
        },
        seconds,
      )
      const keys: unknown = await (await fetch(`${base}/ledger/keys`)).json()
      return await verifyReceipt(jws, publicKeysIn(keys))
    },
  }
}
