import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { SetupError } from './setup-error.ts'

const handedOut = new Set<number>()

/** Whether nothing listens on this port of 127.0.0.1. */
const portIsFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  try {
    server.listen({ host: '127.0.0.1', port, exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** A free port of 127.0.0.1, below the ephemeral range, so that no client's socket takes it between two starts. */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(20_000, 30_000)
    if (handedOut.has(port) || !(await portIsFree(port))) continue
    handedOut.add(port)
    return port
  }
  throw new SetupError('No free port was found between 20000 and 30000 on 127.0.0.1.')
}

type PortWish = {
  /** In words, for the refusal: "Postgres". */
  what: string
  /** Asked for by the caller: taken means refused. */
  wanted: number | undefined
  /** The one of the last start: used again when it is free. */
  kept: number | undefined
  /** Our own engine still listens on the kept one. */
  inUse: boolean
  /** The kept one is an identity others rely on, so it cannot be replaced. */
  fixed?: boolean
}

export const choosePort = async ({ what, wanted, kept, inUse, fixed }: PortWish): Promise<number> => {
  const first = wanted ?? kept
  if (first === undefined) return await freePort()
  if (inUse && first === kept) return first
  // An engine that was killed this moment still holds its port for a while.
  for (const limit = Date.now() + 2000; Date.now() < limit; await delay(20)) if (await portIsFree(first)) return first
  if (wanted === undefined && fixed !== true) return await freePort()
  throw new SetupError(
    `Port ${first} for ${what} is taken by another program: end that program or choose another port.`,
  )
}

/** Whether something accepts connections on this port of 127.0.0.1. */
export const isListening = async (port: number): Promise<boolean> => {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
