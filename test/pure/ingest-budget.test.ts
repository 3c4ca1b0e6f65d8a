import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeMetrics } from '../../src/engines/metrics.ts'
import { makeBudget } from '../../src/uploads/budget.ts'
import { partAt, partSizeFor } from '../../src/uploads/upload.ts'

const mib = 1024 * 1024
const never = new AbortController().signal
const budgetOf = (size: number) => makeBudget(size, makeMetrics())

test('a borrower waits while the budget is spent and is served when memory comes back', async () => {
  const budget = budgetOf(4 * mib)
  const first = await budget.borrow(3 * mib, never)
  let served = false
  const second = budget.borrow(2 * mib, never).then((loan) => {
    served = true
    return loan
  })
  await Promise.resolve()
  expect(served).toBe(false)
  first.giveBack(true)
  expect((await second).bytes.length).toBe(2 * mib)
})

test('borrowers are served in the order they came, so that a large one is not passed over for ever', async () => {
  const budget = budgetOf(4 * mib)
  const order: string[] = []
  const held = await budget.borrow(3 * mib, never)
  const large = budget.borrow(4 * mib, never).then((loan) => {
    order.push('large')
    loan.giveBack(true)
  })
  const small = budget.borrow(mib, never).then(() => order.push('small'))
  held.giveBack(true)
  await Promise.all([large, small])
  expect(order).toEqual(['large', 'small'])
})

test('a part larger than the whole budget is still let through, alone', async () => {
  const loan = await budgetOf(4 * mib).borrow(66 * mib, never)
  expect(loan.bytes.length).toBe(66 * mib)
})

test('one who gives up leaves the line to the next', async () => {
  const budget = budgetOf(2 * mib)
  const held = await budget.borrow(2 * mib, never)
  const leaving = new AbortController()
  const left = budget.borrow(2 * mib, leaving.signal)
  const next = budget.borrow(mib, never)
  leaving.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  held.giveBack(true)
  expect((await next).bytes.length).toBe(mib)
})

test('giving back twice frees the memory once', async () => {
  const budget = budgetOf(2 * mib)
  const loan = await budget.borrow(2 * mib, never)
  loan.giveBack(true)
  const again = await budget.borrow(2 * mib, never)
  loan.giveBack(true)
  let third = false
  const waiting = budget.borrow(mib, never).then(() => {
    third = true
  })
  await Promise.resolve()
  expect(third).toBe(false)
  again.giveBack(true)
  await waiting
})

test('a thousand parts hold any file, and parts keep their smallest size until then', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 64 * 1024 * mib }), (size) => {
      const part = partSizeFor(size, 16 * mib)
      expect(part).toBeGreaterThanOrEqual(16 * mib)
      expect(part % mib).toBe(0)
      expect(Math.ceil(size / part)).toBeLessThanOrEqual(1000)
    }),
  )
  expect(partSizeFor(16_000 * mib, 16 * mib)).toBe(16 * mib)
  expect(partSizeFor(64 * 1024 * mib, 16 * mib)).toBe(66 * mib)
})

test('every byte of a file lies in exactly one part', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4000 * mib }), fc.nat(), (size, anywhere) => {
      const partSize = partSizeFor(size, 16 * mib)
      const position = anywhere % size
      const part = partAt(position, partSize, size)
      expect(part.start).toBeLessThanOrEqual(position)
      expect(part.end).toBeGreaterThan(position)
      expect(partAt(part.end - 1, partSize, size).number).toBe(part.number)
      if (part.end < size) expect(partAt(part.end, partSize, size).number).toBe(part.number + 1)
    }),
  )
})
