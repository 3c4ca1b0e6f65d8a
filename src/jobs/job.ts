import { Problem } from '../base/problem.ts'
import { databaseLost } from '../engines/postgres.ts'
import { ScratchFull } from '../engines/scratch.ts'

/** Another attempt holds the job now: nothing of this one may be applied. */
export class TakenOver extends Error {
  constructor() {
    super('a later attempt took this job over')
    this.name = 'TakenOver'
  }
}

/**
 * How one attempt ended: `done`, `skipped` and `failed` are the job's last word; `again` is owed once more after an error,
 * `handed-back` after a stop; `taken-over` changed nothing; `not-taken` never began.
 */
export type JobEnd = 'done' | 'skipped' | 'failed' | 'again' | 'handed-back' | 'taken-over' | 'not-taken'

const longestWait = 900
const longestOutageWait = 60

/**
 * Whether the store or the database is away, or the scratch disk full. That says nothing about the job, so it never uses up
 * its attempts.
 */
export const isOutage = (error: unknown): boolean =>
  (error instanceof Problem && (error.code === 'store-unavailable' || error.code === 'database-unavailable')) ||
  error instanceof ScratchFull ||
  (error instanceof Error && textOf(error, 'code') === 'ENOSPC') ||
  databaseLost(error)

/** Seconds until the next attempt: doubling from 1, a quarter more or less by `random` (0 to 1). `nth` counts from 1. */
export const backOff = (nth: number, outage: boolean, random: number): number =>
  Math.min(2 ** (Math.max(nth, 1) - 1), outage ? longestOutageWait : longestWait) * (0.75 + random / 2)

const longestMessage = 500
const longestDetail = 1500

/** Postgres text holds no NUL, and a folder of ours tells an administrator nothing. */
const plain = (text: string): string =>
  text
    .toWellFormed()
    .replace(/[^\P{Cc}\n\t]/gu, ' ')
    .replace(/(?<![\w/])\/(?:[\w.@+-]+\/)+[\w.@+-]*/g, '…')
    .trim()

const textOf = (error: object, name: string): string | undefined => {
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

const messageOf = (error: Error): string => {
  const code = textOf(error, 'code')
  if (error instanceof Problem || code === undefined) return error.message
  if (textOf(error, 'syscall') !== undefined) return `${textOf(error, 'syscall')} failed with ${code}`
  if (textOf(error, 'severity') !== undefined) return `the database refused a statement (${code})`
  return error.message
}

/** What to tell about an error: its message and the end of its `detail`, bounded; never SQL, paths or a stack. */
export const wordsOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'something that is not an error was thrown'
  const message = plain(messageOf(error)).slice(0, longestMessage) || error.name
  const fromDatabase = textOf(error, 'severity') !== undefined
  const detail = error instanceof Problem || fromDatabase ? undefined : textOf(error, 'detail')
  return detail === undefined ? message : `${message}: ${plain(detail).slice(-longestDetail)}`
}
