import type { Metrics } from '../engines/metrics.ts'

const mib = 1024 * 1024

/** Memory lent to one segment of an upload. `bytes` is at least as long as was asked for. */
export type Loan = {
  bytes: Buffer
  /** `reuse: false` when someone may still read the bytes, as after an aborted request to the store. */
  giveBack(reuse: boolean): void
}

export type Budget = {
  borrow(size: number, signal: AbortSignal): Promise<Loan>
  /** Whether anyone waits. */
  pressed(): boolean
}

/** Pages of its own: out of the common heap, large buffers of many sizes leave holes that small ones keep from closing. */
const fresh = (size: number): Buffer => Buffer.from(new ArrayBuffer(size, { maxByteLength: size + 65_536 }), 0, size)

/** Buffers are kept for the next borrower, since the kernel clears fresh memory page by page. */
const makePool = (total: number) => {
  const free: Buffer[] = []
  let allocated = 0

  /** The smallest free one that is long enough, unless most of it would lie idle. */
  const fitting = (size: number): Buffer | undefined => {
    let best: Buffer | undefined
    for (const buffer of free) {
      if (buffer.length < size || buffer.length > size * 2) continue
      if (best === undefined || buffer.length < best.length) best = buffer
    }
    if (best !== undefined) free.splice(free.indexOf(best), 1)
    return best
  }

  const destroy = (buffer: Buffer): void => {
    allocated -= buffer.length
    // At once, and not when the garbage collector comes by: the budget is kept to by the process too.
    if (buffer.buffer instanceof ArrayBuffer) buffer.buffer.transfer(0)
  }

  return {
    take: (size: number): Buffer => {
      const kept = fitting(size)
      if (kept !== undefined) return kept
      while (allocated + size > total) {
        const oldest = free.shift()
        if (oldest === undefined) break
        destroy(oldest)
      }
      allocated += size
      return fresh(size)
    },
    keep: (buffer: Buffer): void => {
      if (allocated > total) destroy(buffer)
      else free.push(buffer)
    },
    forget: (buffer: Buffer): void => {
      allocated -= buffer.length
    },
  }
}

/**
 * One budget of memory for all uploads of a process. A borrower waits in line when it is spent, and its socket with it.
 * Nobody waits while holding what another needs to finish: a segment under way ends by itself or by its time-outs.
 */
export const makeBudget = (total: number, metrics: Metrics): Budget => {
  const pool = makePool(total)
  let used = 0
  const line: { size: number; grant: (loan: Loan) => void }[] = []

  const fits = (size: number) => used + size <= total || used === 0

  const lend = (size: number): Loan => {
    const bytes = pool.take(size)
    const { length } = bytes
    used += length
    metrics.ingestMemory.set(used)
    let out = true
    return {
      bytes: bytes.subarray(0, size),
      giveBack: (reuse) => {
        if (!out) return
        out = false
        used -= length
        if (reuse) pool.keep(bytes)
        else pool.forget(bytes)
        metrics.ingestMemory.set(used)
        serveLine()
      },
    }
  }

  const serveLine = () => {
    while (line[0] !== undefined && fits(line[0].size)) {
      const next = line.shift()
      if (next !== undefined) next.grant(lend(next.size))
    }
    metrics.ingestWaiting.set(line.length)
  }

  return {
    pressed: () => line.length > 0,
    borrow: async (size, signal) => {
      signal.throwIfAborted()
      const rounded = Math.max(1, Math.ceil(size / mib)) * mib
      if (line.length === 0 && fits(rounded)) return lend(rounded)
      return await new Promise<Loan>((resolve, reject) => {
        const leave = () => {
          line.splice(line.indexOf(waiting), 1)
          reject(signal.reason)
          serveLine()
        }
        const waiting = {
          size: rounded,
          grant: (loan: Loan) => {
            signal.removeEventListener('abort', leave)
            resolve(loan)
          },
        }
        line.push(waiting)
        metrics.ingestWaiting.set(line.length)
        signal.addEventListener('abort', leave, { once: true })
      })
    },
  }
}
