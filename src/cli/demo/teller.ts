/** Tells the demo: numbered steps, each with why it matters, lines below them, and checks that count. */
export type Teller = {
  step(what: string): void
  line(text: string): void
  /** What is true is ticked; what is not is told, and ends the demo with an error in the end. */
  check(what: string, holds: boolean): void
  failed(): string[]
}

export const makeTeller = (say: (line: string) => void): Teller => {
  const began = performance.now()
  const failures: string[] = []
  let steps = 0
  return {
    step: (what) => {
      steps += 1
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      say(`\n${steps}. ${what}  [${seconds} s]`)
    },
    line: (text) => say(`   ${text}`),
    check: (what, holds) => {
      if (!holds) failures.push(what)
      say(`   ${holds ? '✓' : '✗ NOT TRUE:'} ${what}`)
    },
    failed: () => failures,
  }
}
