import { setTimeout as delay } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Digest, IdOf } from '../src/base/ids.ts'
import { curlDigestSeconds } from './curl-digest.ts'
import { type BenchDock, type Installation, install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { placeOf } from './original.ts'
import { inWords, type Row } from './result.ts'
import type { Stack } from './stack.ts'
import { perform } from './task.ts'

const mib = 1024 * 1024
const sizeMiB = 384
const rounds = 5
const pollMs = 10

const Claims = Type.Object({ recordingId: IdOf.recording, sha256: Digest })

const untilReceipt = async (address: string, token: string): Promise<Type.Static<typeof Claims>> => {
  for (const limit = Date.now() + 120_000; ; await delay(pollMs)) {
    const response = await fetch(`${address}/receipt`, { headers: { authorization: `Bearer ${token}` } })
    const text = await response.text()
    if (response.status === 200) {
      const claims: unknown = decodeJwt(text)
      if (Value.Check(Claims, claims)) return claims
    }
    if (response.status !== 202 || Date.now() > limit)
      throw new Error(`the receipt did not come: ${text.slice(0, 300)}`)
  }
}

/** The worker looks into the file after it signed; what it is compared with waits for that. */
const untilExamined = async ({ engines }: Installation, { recordingId }: Type.Static<typeof Claims>): Promise<void> => {
  for (const limit = Date.now() + 60_000; ; await delay(50)) {
    const { status } = await engines.db
      .selectFrom('recordings')
      .select('status')
      .where('id', '=', recordingId)
      .executeTakeFirstOrThrow()
    if (status === 'active') return
    if (Date.now() > limit) throw new Error('the recording was not examined')
  }
}

const measure = async (stack: Stack, installation: Installation, dock: BenchDock) => {
  const token = await dock.token()
  const endpoint = `${installation.url}/api/v1/uploads`
  const sizes = [sizeMiB * mib]
  const { places } = await perform(stack.sender, {
    kind: 'tus',
    endpoint,
    tokens: [token],
    chunk: 32 * mib,
    begun: false,
    sizes,
    atOnce: 1,
  })
  const began = performance.now()
  const claims = await untilReceipt(places[0] ?? '', token)
  const receipt = (performance.now() - began) / 1000
  await untilExamined(installation, claims)
  const curl = await curlDigestSeconds(placeOf(stack, installation, claims.recordingId), claims.sha256)
  return { receipt, curl }
}

/** How long a dock waits for its receipt once it has sent everything. */
export const receipt = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: true })
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const runs = contender(async () => await measure(stack, installation, dock))
  await inTurn(rounds, [runs])
  const receipts = runs.samples.map((sample) => sample.receipt)
  const curls = runs.samples.map((sample) => sample.curl)
  return {
    results: [
      {
        what: `last byte acknowledged → receipt, ${sizeMiB} MiB`,
        against: '`curl` of the object piped into `openssl dgst -sha256`',
        ratio: ratioOf(receipts, curls),
        target: null,
        ours: inWords(spreadOf(receipts), 's', 2),
        theirs: inWords(spreadOf(curls), 's', 2),
      },
    ],
    how: [
      `The dock asks for the receipt every ${pollMs} ms from the moment its last PATCH was answered. In between lie the job’s way through Postgres and Redis, making the object of its parts, the read-back (with the scratch copy), the entry and the signature.`,
    ],
  }
}
