/** One of those compared; what its runs gave stands in `samples`, one a round. */
export type Contender<Sample> = { take(): Promise<void>; samples: Sample[] }

export const contender = <Sample>(run: () => Promise<Sample>): Contender<Sample> => {
  const samples: Sample[] = []
  return { take: async () => void samples.push(await run()), samples }
}

/** Runs each once a round, one after the other, beginning with another each round, so that noise falls on all alike. */
export const inTurn = async (rounds: number, contenders: Contender<unknown>[]): Promise<void> => {
  for (let round = 0; round < rounds; round++) {
    const first = round % contenders.length
    for (const { take } of [...contenders.slice(first), ...contenders.slice(0, first)]) await take()
  }
}

export type Spread = { median: number; low: number; high: number; count: number }

/** NaN where there are no values. */
export const spreadOf = (values: number[]): Spread => {
  const sorted = values.toSorted((left, right) => left - right)
  const at = (index: number) => sorted[index] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    low: at(0),
    high: at(sorted.length - 1),
    count: sorted.length,
  }
}

/** The one figure over the other, round by round, so that what slowed a whole round down cancels out. */
export const ratioOf = (over: number[], under: number[]): Spread =>
  spreadOf(over.map((value, round) => value / (under[round] ?? Number.NaN)))
