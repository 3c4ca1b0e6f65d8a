import type { Socket } from 'node:net'
import { newId } from '../base/ids.ts'
import { type ProblemCode, problems } from '../base/problem.ts'
import { documentOf } from '../base/problem-schema.ts'

const codeOf = (error: Error & { code?: string }): ProblemCode => {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers-too-large'
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'too-slow'
  return 'bad-request'
}

const reasons: Partial<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

/** Answers what is not even HTTP, so that no request object exists for it, and closes the connection. */
export const answerBrokenRequest = (error: Error & { code?: string }, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const code = codeOf(error)
  const { status } = problems[code]
  const detail = code === 'bad-request' ? 'This is not HTTP/1.1 as it should be.' : undefined
  const body = JSON.stringify(documentOf(code, detail, newId()))
  const head = [
    `HTTP/1.1 ${status} ${reasons[status] ?? 'Error'}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
