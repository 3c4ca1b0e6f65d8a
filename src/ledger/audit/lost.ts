import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import { membersOf } from './body.ts'
import { recoveries } from './database-queries.ts'
import type { Findings } from './finding.ts'

/** Leaves whose entry was lost, as the entry of a recovery says: so many from `first` to `last`. */
type Range = { leaves: number; first: number; last: number; seen: number }

const isIndex = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value)

const rangesOf = async (db: Db, log: LogRow): Promise<Range[]> =>
  (await recoveries(db)).flatMap((parts) => {
    const { log: origin, withoutEntry } = membersOf(parts.detail?.value)
    const { leaves, first, last } = membersOf(withoutEntry)
    if (origin !== log.origin || !isIndex(leaves) || !isIndex(first) || !isIndex(last)) return []
    return [{ leaves, first, last, seen: 0 }]
  })

export type Lost = {
  /** A leaf without its entry. */
  take(index: number): void
  end(): void
}

/** Holds the leaves that stand as lost against what the recoveries said: whoever deletes an entry may not call it lost. */
export const checkLost = async (db: Db, log: LogRow, findings: Findings): Promise<Lost> => {
  const ranges = await rangesOf(db, log)
  return {
    take: (index) => {
      const range = ranges.find(({ first, last }) => index >= first && index <= last)
      if (range === undefined) findings.note('lost-unproven', log.number, { index })
      else range.seen += 1
    },
    end: () => {
      for (const { first, last, leaves, seen } of ranges)
        if (seen > leaves)
          findings.note(
            'lost-unproven',
            log.number,
            { index: first, says: `of the leaves up to ${last}, ${leaves} were lost, and ${seen} stand as lost` },
            seen - leaves,
          )
    },
  }
}
