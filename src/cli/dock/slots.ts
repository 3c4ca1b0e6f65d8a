/** Runs at most so many pieces of work at once, in the order in which they were given. */
export type Slots = <Result>(work: () => Promise<Result>) => Promise<Result>

export const makeSlots = (count: number): Slots => {
  let free = count
  const queue: (() => void)[] = []
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => queue.push(resolve))
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
