/** Why the embedded engines cannot start, as one clear sentence for the person at the terminal; shown without a stack. */
export class SetupError extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause })
    this.name = 'SetupError'
  }
}
