type Waiting<Item> = { item: Item; resolve(done: boolean): void; reject(error: unknown): void }

/**
 * Writes items as they come; those that come while others are being written go together in the next statement, so that
 * many at once cost one commit. `write` answers which of the items it did. Of items with the same `keyOf` one goes at a time.
 */
export const inBatches = <Item>(
  keyOf: (item: Item) => string,
  write: (items: Item[]) => Promise<(item: Item) => boolean>,
): ((item: Item) => Promise<boolean>) => {
  let waiting: Waiting<Item>[] = []
  let writing = false

  const drain = async (): Promise<void> => {
    writing = true
    while (waiting.length > 0) {
      const batch = new Map<string, Waiting<Item>>()
      const later: Waiting<Item>[] = []
      for (const each of waiting) {
        const key = keyOf(each.item)
        if (batch.has(key)) later.push(each)
        else batch.set(key, each)
      }
      waiting = later
      const going = [...batch.values()]
      try {
        const isDone = await write(going.map(({ item }) => item))
        for (const { item, resolve } of going) resolve(isDone(item))
      } catch (error) {
        for (const { reject } of going) reject(error)
      }
    }
    writing = false
  }

  return async (item) =>
    await new Promise<boolean>((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (!writing) void drain()
    })
}
