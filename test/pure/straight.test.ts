import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { sendStraight } from '../../src/uploads/straight.ts'

const mib = 1024 * 1024

test('a part that goes another way ends quietly, whether or not the store had begun to read it', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('uncaughtException', note)
  const bodies: Readable[] = []
  const unread = sendStraight(Buffer.alloc(4 * mib), async (body) => {
    bodies.push(body)
    return await new Promise(() => undefined)
  })
  unread.came(mib)
  unread.drop()
  const refused = sendStraight(Buffer.alloc(4 * mib), async () => {
    throw new Error('the store refuses')
  })
  refused.came(mib)
  refused.drop()
  await setImmediate()
  process.off('uncaughtException', note)
  expect(unhandled).toEqual([])
  expect(bodies.map(({ destroyed }) => destroyed)).toEqual([true])
})

test('the last bytes of a part are held back until it may be kept', async () => {
  const seen: Buffer[] = []
  const bytes = Buffer.alloc(4 * mib, 7)
  const part = sendStraight(bytes, async (body) => {
    for await (const chunk of body) seen.push(chunk)
    return 'etag'
  })
  part.came(3.5 * mib)
  part.came(4 * mib)
  await setImmediate()
  expect(Buffer.concat(seen).length).toBe(3.5 * mib)
  expect(await part.finish()).toBe('etag')
  expect(Buffer.concat(seen).equals(bytes)).toBe(true)
})
