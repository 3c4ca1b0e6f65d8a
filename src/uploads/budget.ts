import type { Metrics } from '../engines/metrics.ts'

const mib = 1024 * 1024

/** Memory lent to one segment of an upload. `bytes` is at least as long as was asked for. */
export type Loan = {
  bytes: Buffer
  /** `reuse: false` when someone may still read the bytes, as after an aborted request to the store. */
  giveBack(reuse: boolean): void
}

export type Budget = { borrow(size: number, signal: AbortSignal): Promise<Loan> }

/**
 * One budget of memory for all uploads of a process. A borrower waits in line when it is spent, and its socket with it.
 * Nobody waits while holding what another needs to finish: a segment under way ends by itself or by its time-outs.
 */
export const makeBudget = (total: number, metrics: Metrics): Budget => {
  let allocated = 0
  let used = 0
  const free: Buffer[] = []
  const line: { size: number; grant: (loan: Loan) => void }[] = []

  const fits = (size: number) => used + size <= total || used === 0

  const lend = (size: number): Loan => {
    const at = free.findIndex((buffer) => buffer.length === size)
    let [bytes] = at === -1 ? [] : free.splice(at, 1)
    if (bytes === undefined) {
      while (allocated + size > total && free.length > 0) allocated -= free.shift()?.length ?? 0
      bytes = Buffer.allocUnsafeSlow(size)
      allocated += size
    }
    used += size
    metrics.ingestMemory.set(used)
    const lent = bytes
    let out = true
    return {
      bytes: lent,
      giveBack: (reuse) => {
        if (!out) return
        out = false
        used -= size
        if (reuse) free.push(lent)
        else allocated -= size
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
