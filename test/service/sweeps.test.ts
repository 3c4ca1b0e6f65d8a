import { describe, expect, test } from 'vitest'
import { type Sweep, startSweeps } from '../../src/jobs/sweeps.ts'
import { testEngines } from '../engines.ts'

describe('a sweep', () => {
  test('is run by one worker at a time, and by the next when that one ends', async () => {
    await using own = await testEngines()
    const runs: string[] = []
    const sweepOf = (who: string): Sweep => ({
      name: 'count',
      everySeconds: 0.05,
      run: async () => runs.push(who),
    })
    const [first, second] = [new AbortController(), new AbortController()]
    const one = startSweeps(own, [sweepOf('first')], first.signal)
    await expect.poll(() => runs.length, { timeout: 5000 }).toBeGreaterThan(1)
    const two = startSweeps(own, [sweepOf('second')], second.signal)
    const seen = runs.length
    await expect.poll(() => runs.length, { timeout: 5000 }).toBeGreaterThan(seen + 5)
    expect(new Set(runs)).toEqual(new Set(['first']))
    first.abort()
    await one
    await expect.poll(() => runs.includes('second'), { timeout: 5000 }).toBe(true)
    second.abort()
    await two
  })

  test('that throws runs again, and hinders no other', async () => {
    await using own = await testEngines()
    let bad = 0
    let good = 0
    const end = new AbortController()
    const failing = async (): Promise<number> => {
      bad++
      throw new Error('not today')
    }
    const sweeps = [
      { name: 'bad', everySeconds: 0.05, run: failing },
      { name: 'good', everySeconds: 0.05, run: async () => good++ },
    ]
    const running = startSweeps(own, sweeps, end.signal)
    await expect.poll(() => Math.min(bad, good), { timeout: 5000 }).toBeGreaterThan(2)
    end.abort()
    await running
  })
})
