import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Started } from './stack.ts'

const Files = {
  /** One file each; all are pieces of the file of content. */
  sizes: Type.Array(Type.Integer()),
  /** So many of them at any time. */
  atOnce: Type.Integer(),
}

/** What the sending process is told to do. */
export const Task = Type.Union([
  Type.Object({
    kind: Type.Literal('tus'),
    endpoint: Type.String(),
    /** Files go to them in turn. */
    tokens: Type.Array(Type.String()),
    chunk: Type.Integer(),
    /** Whether every upload is begun before the clock runs. */
    begun: Type.Boolean(),
    ...Files,
  }),
  Type.Object({
    kind: Type.Literal('sdk'),
    endpoint: Type.String(),
    region: Type.String(),
    accessKey: Type.String(),
    secretKey: Type.String(),
    bucket: Type.String(),
    prefix: Type.String(),
    partSize: Type.Integer(),
    /** From a stream of the file, or out of memory. */
    from: Type.Union([Type.Literal('file'), Type.Literal('memory')]),
    ...Files,
  }),
])
export type Task = Type.Static<typeof Task>

export const Done = Type.Object({
  seconds: Type.Number(),
  /** Where the files went: addresses of uploads, or keys, in the order of `sizes`. */
  places: Type.Array(Type.String()),
  error: Type.Optional(Type.String()),
})
export type Done = Type.Static<typeof Done>

/** Gives a started process a message and waits for its answer. */
export const ask = async ({ child }: Started, message: object): Promise<unknown> =>
  await new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      child.off('message', answered)
      child.off('exit', ended)
      settled()
    }
    const answered = (answer: unknown) => settle(() => resolve(answer))
    const ended = () => settle(() => reject(new Error('a process of the bench ended too early')))
    child.on('message', answered)
    child.on('exit', ended)
    child.send(message)
  })

/** Has the sending process do it. */
export const perform = async (sender: Started, task: Task): Promise<Done> => {
  const done = await ask(sender, task)
  if (!Value.Check(Done, done)) throw new Error('the sending process gave no answer')
  if (done.error !== undefined) throw new Error(done.error)
  return done
}
