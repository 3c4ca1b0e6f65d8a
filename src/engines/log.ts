import { type Logger, pino } from 'pino'

export type Log = Logger

/** Structured log: ids only, never a token, a name, a reason or a file name. Pretty on a terminal, JSON otherwise. */
export const makeLog = (level: string, name: string): Log =>
  pino({
    level,
    name,
    ...(process.stdout.isTTY ? { transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } } : {}),
  })
