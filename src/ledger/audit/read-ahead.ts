/** What the reads give, in their order, `most` of them under way at once. */
export async function* readAhead<T>(reads: Iterable<() => Promise<T>>, most: number): AsyncGenerator<T> {
  const left = reads[Symbol.iterator]()
  const underWay: Promise<T>[] = []
  for (;;) {
    while (underWay.length < most) {
      const { value: read, done } = left.next()
      if (done === true) break
      const reading = read()
      // Whoever stops in the middle waits for none of them.
      reading.catch(() => undefined)
      underWay.push(reading)
    }
    const next = underWay.shift()
    if (next === undefined) return
    yield await next
  }
}
