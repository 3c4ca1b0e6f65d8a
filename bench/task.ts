import { once } from 'node:events'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Started } from './stack.ts'

/** What the sending process is told to do: `sizes` names one file each, `atOnce` of them at any time. */
export const Task = Type.Union([
  Type.Object({
    kind: Type.Literal('tus'),
    endpoint: Type.String(),
    /** Files go to them in turn. */
    tokens: Type.Array(Type.String()),
    sizes: Type.Array(Type.Integer()),
    atOnce: Type.Integer(),
    chunk: Type.Integer(),
  }),
  Type.Object({
    kind: Type.Literal('sdk'),
    endpoint: Type.String(),
    region: Type.String(),
    accessKey: Type.String(),
    secretKey: Type.String(),
    bucket: Type.String(),
    sizes: Type.Array(Type.Integer()),
    atOnce: Type.Integer(),
    partSize: Type.Integer(),
  }),
])
export type Task = Type.Static<typeof Task>

export const Done = Type.Object({
  seconds: Type.Number(),
  /** Of its own processor time. */
  cpuSeconds: Type.Number(),
  /** Where the files went, in the order of `sizes`. */
  addresses: Type.Array(Type.String()),
  error: Type.Optional(Type.String()),
})
export type Done = Type.Static<typeof Done>

/** Has a started sending process do it. */
export const perform = async (sender: Started, task: Task): Promise<Done> => {
  const answered = once(sender.child, 'message')
  const ended = once(sender.child, 'exit').then(() => {
    throw new Error('the sending process ended')
  })
  sender.child.send(task)
  const [done] = await Promise.race([answered, ended])
  if (!Value.Check(Done, done)) throw new Error('the sending process gave no answer')
  if (done.error !== undefined) throw new Error(done.error)
  return done
}
