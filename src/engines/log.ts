import { isatty } from 'node:tty'
import { type Logger, pino } from 'pino'

export type Log = Logger

/**
 * Structured log: ids only, never a token, a name, a reason or a file name. Pretty on a terminal, JSON otherwise. A program
 * whose standard output is its answer logs to `fd` 2.
 */
export const makeLog = (level: string, name: string, fd: 1 | 2 = 1): Log => {
  const pretty = { target: 'pino-pretty', options: { ignore: 'pid,hostname', destination: fd } }
  return isatty(fd) ? pino({ level, name, transport: pretty }) : pino({ level, name }, pino.destination(fd))
}
