/** Runs the pieces of work under one name one after the other, in the order they came; others do not wait for them. */
export type Turns = <T>(name: string, work: () => Promise<T>) => Promise<T>

export const makeTurns = (): Turns => {
  const last = new Map<string, Promise<unknown>>()
  return async (name, work) => {
    const mine = (last.get(name) ?? Promise.resolve()).then(work)
    last.set(
      name,
      mine.catch(() => undefined),
    )
    return await mine
  }
}
