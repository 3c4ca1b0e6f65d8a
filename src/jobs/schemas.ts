import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Time } from '../base/time.ts'

export const JobStateName = Type.Enum(['owed', 'working', 'done', 'skipped', 'failed'])

export const JobView = Type.Object(
  {
    id: IdOf.job,
    name: Type.String({ description: 'The kind of work' }),
    about: Type.Record(Type.String(), Type.String(), { description: 'The ids of what it is about' }),
    state: JobStateName,
    attempt: Type.Integer({ minimum: 0, description: 'How often it was begun' }),
    failures: Type.Integer({ minimum: 0, description: 'How often it ended in an error' }),
    progress: Type.Number({ minimum: 0, maximum: 1 }),
    said: Type.Optional(Type.String({ description: 'What the last attempt had to say, such as why it failed' })),
    cause: Type.Optional(IdOf.entry),
    createdAt: Time,
    dueAt: Time,
    endedAt: Type.Optional(Time),
  },
  {
    examples: [
      {
        id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091',
        name: 'take-into-custody',
        about: { recordingId: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8092' },
        state: 'failed',
        attempt: 8,
        failures: 8,
        progress: 0.5,
        said: 'The object is not there',
        createdAt: '2026-11-25T22:15:00.000Z',
        dueAt: '2026-11-25T22:17:10.000Z',
        endedAt: '2026-11-25T22:17:12.000Z',
      },
    ],
  },
)
export type JobView = Type.Static<typeof JobView>
