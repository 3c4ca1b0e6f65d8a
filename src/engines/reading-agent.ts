import { Agent, type ClientRequestArgs } from 'node:http'
import { connect, type Socket } from 'node:net'

const readBytes = 64 * 1024

/**
 * Connections that read everything into one piece of memory of their own. Left to itself, Node takes new memory for each read
 * and its HTTP parser copies the body out of it: of every byte two copies wait for the garbage collector, which costs more
 * than to move them. What the parser gives on is its copy, so that nobody sees the memory change.
 */
export class ReadingAgent extends Agent {
  override createConnection(options: ClientRequestArgs): Socket {
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    const callback = (count: number): boolean => {
      socket.emit('data', buffer.subarray(0, count))
      return true
    }
    const { host, port, family } = options
    const socket = connect({
      ...{ host: host ?? 'localhost', port: Number(port), noDelay: true, keepAlive: true },
      ...(family === undefined ? {} : { family }),
      onread: { buffer, callback },
    })
    return socket
  }
}
