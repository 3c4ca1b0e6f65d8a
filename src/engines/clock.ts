/** The server's clock. Tests pass another. */
export type Clock = {
  /** Now, as Postgres and JSON know it. */
  now(): Date
  /** Now with microseconds, for entries. */
  instant(): Temporal.Instant
}

export const systemClock: Clock = {
  now: () => new Date(),
  instant: () => Temporal.Now.instant(),
}
