import { type Kind, kinds } from './kinds.ts'

/** Where something was found: what of it applies. */
export type Where = {
  /** The leaf. */
  index?: number
  entry?: string
  /** Of a sealed entry; `body` for all of it. */
  part?: string
  /** A key in the ledger bucket, a file, or a name in the database. */
  object?: string
  /** Of a checkpoint, in leaves. */
  size?: number
  /** In words, what is known besides. */
  says?: string
}

export type Finding = {
  kind: Kind
  /** The number of the log; null for what belongs to the whole database. */
  log: number | null
  count: number
  first: Where
  happened: string
  unaffected: string
  next: string
}

export type Findings = {
  /** Keeps the first of each kind and log, and counts the rest. */
  note(kind: Kind, log: number | null, where: Where, count?: number): void
  all(): Finding[]
}

export const makeFindings = (): Findings => {
  const found = new Map<string, Finding>()
  return {
    note: (kind, log, where, count = 1) => {
      const key = `${kind} ${log}`
      const known = found.get(key)
      if (known === undefined) found.set(key, { kind, log, count, first: where, ...kinds[kind] })
      else known.count += count
    },
    all: () => [...found.values()],
  }
}
