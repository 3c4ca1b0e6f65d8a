import { expect, test } from 'vitest'
import { inBatches } from '../../src/viewings/in-batches.ts'

type Item = { key: string; n: number }

const batched = () => {
  const batches: Item[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const write = inBatches<Item>(
    ({ key }) => key,
    async (items) => {
      batches.push(items)
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      await gate.promise
      return ({ n }) => n % 2 === 0
    },
  )
  const release = async () => {
    gates.at(-1)?.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { write, batches, release, gates }
}

test('what comes alone is written at once, and what comes meanwhile goes together', async () => {
  const { write, batches, release } = batched()
  const first = write({ key: 'a', n: 0 })
  const others = [write({ key: 'b', n: 1 }), write({ key: 'c', n: 2 })]
  expect(batches).toEqual([[{ key: 'a', n: 0 }]])
  await release()
  expect(await first).toBe(true)
  expect(batches[1]).toEqual([
    { key: 'b', n: 1 },
    { key: 'c', n: 2 },
  ])
  await release()
  expect(await Promise.all(others)).toEqual([false, true])
  const last = write({ key: 'a', n: 4 })
  expect(batches).toHaveLength(3)
  await release()
  expect(await last).toBe(true)
})

test('two of one key never go together, and keep their order', async () => {
  const { write, batches, release } = batched()
  const all = [0, 2, 4, 6].map((n) => write({ key: n === 4 ? 'b' : 'a', n }))
  for (let n = 0; n < 3; n++) await release()
  expect(await Promise.all(all)).toEqual([true, true, true, true])
  expect(batches.map((batch) => batch.map(({ n }) => n))).toEqual([[0], [2, 4], [6]])
})

test('a write that fails is told to those who were in it, and the next goes on', async () => {
  const { write, release, gates } = batched()
  const failing = write({ key: 'a', n: 0 })
  const next = write({ key: 'b', n: 2 })
  gates[0]?.reject(new Error('the database is away'))
  await expect(failing).rejects.toThrow('the database is away')
  await release()
  expect(await next).toBe(true)
})
