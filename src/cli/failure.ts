import { getSystemErrorMessage } from 'node:util'
import { Problem, problems } from '../base/problem.ts'

/** A failure whose message is one whole sentence for the person at the keyboard. */
export class Failure extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause })
    this.name = 'Failure'
  }
}

const systemSentence = (error: Error): string | undefined => {
  if (!('errno' in error) || typeof error.errno !== 'number') return undefined
  const what = getSystemErrorMessage(error.errno)
  const where = 'path' in error && typeof error.path === 'string' ? `${error.path}: ` : ''
  return what === undefined ? undefined : `${where}${what}.`
}

/** Any error as one sentence, without a stack. */
export const sentence = (error: unknown): string => {
  if (error instanceof Problem) return `${error.message} ${problems[error.code].next}`
  if (error instanceof AggregateError && error.errors.length > 0) return sentence(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  const said = systemSentence(error) ?? (error.message === '' ? error.name : error.message)
  return said.replace(/\s*\n\s*/g, ' ')
}
