import { join } from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { curlDigestSeconds } from './curl-digest.ts'
import { install } from './installation.ts'
import { contender, inTurn, ratioOf, spreadOf } from './measure.ts'
import { storeOne } from './original.ts'
import { inWords, type Result, type Row } from './result.ts'
import type { Stack } from './stack.ts'
import { ask } from './task.ts'

const sizeMiB = 512
const rounds = 7

const Read = Type.Object({ seconds: Type.Number(), sha256: Type.String() })

/** Reading an original from its final place and hashing it, as the worker does before it signs. */
export const readBack = async (stack: Stack): Promise<Row> => {
  await using installation = await install(stack, { worker: false })
  const { recording, version, at } = await storeOne(stack, installation, sizeMiB * 1024 * 1024)
  const reader = stack.start(new URL('reader.ts', import.meta.url), installation.environment)
  try {
    const readIt = async (copyTo?: string) => {
      const wanted = { recording, version, size: sizeMiB * 1024 * 1024, ...(copyTo === undefined ? {} : { copyTo }) }
      const read = await ask(reader, wanted)
      if (!Value.Check(Read, read)) throw new Error('the reading process gave no answer')
      return read
    }
    const { sha256 } = await readIt()
    const alone = contender(async () => sizeMiB / (await readIt()).seconds)
    const copying = contender(async () => sizeMiB / (await readIt(join(stack.folder, 'copy'))).seconds)
    const curl = contender(async () => sizeMiB / (await curlDigestSeconds(at, sha256)))
    await inTurn(rounds, [alone, copying, curl])
    const result = (what: string, rates: number[]): Result => ({
      what,
      against: '`curl` of the same object piped into `openssl dgst -sha256`',
      ratio: ratioOf(rates, curl.samples),
      target: { atLeast: 0.8 },
      ours: inWords(spreadOf(rates), 'MiB/s'),
      theirs: inWords(spreadOf(curl.samples), 'MiB/s'),
    })
    return {
      results: [
        result('read-back and digest', alone.samples),
        result('read-back and digest, with the scratch copy for the examination', copying.samples),
      ],
      how: [
        `One original of ${sizeMiB} MiB that came through the api; the reading side is a process of its own, as a worker is.`,
        'The scratch copy lies on the same disk as the store.',
      ],
    }
  } finally {
    await reader.stop()
  }
}
