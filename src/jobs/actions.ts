import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor, encodeCursor } from '../base/cursor.ts'
import { IdOf, type JobId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { JobRow, JobState } from '../engines/tables.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { jobForUpdate, newestJobs, reviveJob, tellRelays } from './queries.ts'
import type { JobView } from './schemas.ts'

const view = (job: JobRow): JobView => ({
  id: job.id,
  name: job.name,
  about: Object.fromEntries(
    Object.entries(job.payload).flatMap(([of, id]) => (typeof id === 'string' ? [[of, id]] : [])),
  ),
  state: job.state,
  attempt: job.attempt,
  failures: job.failures,
  progress: job.progress,
  ...(job.said === null ? {} : { said: job.said }),
  ...(job.cause === null ? {} : { cause: job.cause }),
  createdAt: iso(job.createdAt),
  dueAt: iso(job.dueAt),
  ...(job.endedAt === null ? {} : { endedAt: iso(job.endedAt) }),
})

const jobBefore = (cursor: string): JobId => {
  const [id] = decodeCursor(cursor)
  if (!Value.Check(IdOf.job, id)) throw cursorProblem()
  return id
}

export type JobsAsked = { state?: JobState; limit: number; cursor?: string }

/** Newest first, a page at a time. Throws `bad-request` on a cursor that is not ours. */
export const listJobs = async (
  { db }: Engines,
  { state, limit, cursor }: JobsAsked,
): Promise<{ items: JobView[]; nextCursor: string | null }> => {
  const before = cursor === undefined ? undefined : jobBefore(cursor)
  const rows = await newestJobs(db, { state, before, limit: limit + 1 })
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    items: page.map(view),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor([last.id]) : null,
  }
}

/** Owes a failed job anew, at once and with all its attempts. Throws `not-found`, or `conflict` when it has not failed. */
export const retryJob = async ({ db, clock }: Engines, actor: Actor, id: JobId): Promise<JobView> =>
  await inTransaction(db, async (tx) => {
    const job = await jobForUpdate(tx, id)
    if (job === undefined) throw new Problem('not-found')
    if (job.state !== 'failed')
      throw new Problem('conflict', `The job is ${job.state}: only a failed one is tried again.`)
    const owed = await reviveJob(tx, id)
    await record(tx, clock, {
      operation: 'administration',
      action: 'job.retried',
      subject: { type: 'job', id },
      actor,
      detail: { name: job.name, attempts: job.attempt },
    })
    await tellRelays(tx)
    return view(owed)
  })
