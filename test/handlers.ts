import { type JobId, newId, type RecordingId } from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import { inTransaction } from '../src/engines/postgres.ts'
import type { Handler, Handlers } from '../src/jobs/catalogue.ts'
import { owe } from '../src/jobs/outbox.ts'

/** Work whose taking into custody is what a test wants it to be. */
export const handlersWith = (take: Handler<'take-into-custody'>): Handlers => ({
  'take-into-custody': take,
  'make-renditions': async () => ({ outcome: 'done' }),
  'cut-clip': async () => ({ outcome: 'done' }),
  'make-bundle': async () => ({ outcome: 'done' }),
  'clear-upload': async () => ({ outcome: 'done' }),
  'clear-recording': async () => ({ outcome: 'done' }),
  'simulate-policy': async () => ({ outcome: 'done' }),
  purge: async () => ({ outcome: 'done' }),
  'hold-original': async () => ({ outcome: 'done' }),
  'keep-sidecar': async () => ({ outcome: 'done' }),
})

/** Owes the taking into custody of a recording that nobody knows. */
export const oweWork = async ({ db, clock }: Engines, dueAt?: Date): Promise<JobId> =>
  await inTransaction(db, async (tx) => {
    const payload = { recordingId: newId<RecordingId>() }
    return await owe(tx, clock, 'take-into-custody', payload, {
      cause: null,
      ...(dueAt === undefined ? {} : { dueAt }),
    })
  })

/** Between a handler and a test: the handler tells that it began, the test lets it go on. */
export const gate = () => ({ begun: Promise.withResolvers<void>(), open: Promise.withResolvers<void>() })
