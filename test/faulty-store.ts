import { once } from 'node:events'
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Transform } from 'node:stream'

/**
 * What a request wants of an S3 store, as far as tests tell them apart. What workers write and read besides footage, at
 * moments of their own, has names of its own: a fault that is meant for footage must not run into it.
 */
type Wanted =
  | 'begin'
  | 'part'
  | 'parts'
  | 'complete'
  | 'put'
  | 'read'
  | 'facts'
  | 'put of the log'
  | 'read of the log'
  | 'put of a sidecar'
  | 'read of a sidecar'
  | 'other'

const besidesFootage = (path: string) => {
  if (/^\/[^/]*ledger\//.test(path)) return ' of the log'
  return path.includes('.sidecar.') ? ' of a sidecar' : ''
}

const wantedBy = ({ method, url = '' }: IncomingMessage): Wanted => {
  const { pathname, searchParams: asked } = new URL(url, 'http://store')
  if (method === 'POST' && asked.has('uploads')) return 'begin'
  if (method === 'POST' && asked.has('uploadId')) return 'complete'
  if (method === 'PUT') return asked.has('partNumber') ? 'part' : `put${besidesFootage(pathname)}`
  if (method === 'HEAD') return 'facts'
  if (method !== 'GET') return 'other'
  if (asked.has('uploadId')) return 'parts'
  if (asked.has('list-type') || asked.has('versions') || asked.has('versioning')) return 'other'
  return `read${besidesFootage(pathname)}`
}

/** How a request is passed on: `body` changes what the store gets, `answer` is awaited before the client gets its answer. */
type Passing = { body?: Transform; answer?: () => Promise<void>; content?: Transform }
type Exchange = { request: IncomingMessage; response: ServerResponse; pass(passing?: Passing): void }

/** What becomes of a request instead of being passed on as it is. */
export type Fault = (exchange: Exchange) => void | Promise<void>

/** A fault in force. `met` is fulfilled when the first request runs into it, and rejected when none does for a minute. */
type Trap = { met: Promise<void>; count(): number; lift(): void }

export type FaultyStore = AsyncDisposable & {
  /** Put it in front of the store: S3_ENDPOINT. */
  endpoint: string
  /** From now on this happens to such requests, to the first `times` of them. */
  on(wanted: Wanted | 'anything', fault: Fault, times?: number): Trap
  /** No fault is in force any more. */
  heal(): void
  /** How many such requests came so far. */
  seen(wanted: Wanted): number
}

/** The store answers this status and does nothing. */
export const refuses =
  (status: number, code = 'ServiceUnavailable'): Fault =>
  ({ request, response }) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`)
  }

/** What stands in front of the store answers in its place, in words for people. */
export const isFenced: Fault = ({ request, response }) => {
  request.resume()
  response.writeHead(502, { 'content-type': 'text/html' }).end('<html><body><h1>Bad Gateway</h1><hr></body></html>')
}

/** The store takes the request and never answers. */
export const hangs: Fault = ({ request }) => void request.resume()

/** One bit of the body changes on its way to the store. */
export const flips: Fault = ({ pass }) => {
  let first = true
  pass({
    body: new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const copy = Buffer.from(chunk)
        if (first) copy[0] = (copy[0] ?? 0) ^ 1
        first = false
        done(null, copy)
      },
    }),
  })
}

/** The store does what it was asked; its answer waits for `gate`. */
export const answersLate =
  (gate: Promise<void>): Fault =>
  ({ pass }) =>
    pass({ answer: async () => await gate })

/** The request waits for `gate`, and reaches the store then. */
export const arrivesLate =
  (gate: Promise<void>): Fault =>
  async ({ pass }) => {
    await gate
    pass()
  }

/** Lets some bytes through, then waits for `gate`. */
const pausing = (after: number, gate: Promise<void>): Transform => {
  let left = after
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      left -= chunk.length
      if (left >= 0) done(null, chunk)
      else void gate.then(() => done(null, chunk))
    },
  })
}

/** Of the body, the store gets about `after` bytes, and the rest when `gate` opens. */
export const arrivesInPart =
  (after: number, gate: Promise<void>): Fault =>
  ({ pass }) =>
    pass({ body: pausing(after, gate) })

/** Of what is read, the client gets about `after` bytes, and the rest when `gate` opens. */
export const readsInPart =
  (after: number, gate: Promise<void>): Fault =>
  ({ pass }) =>
    pass({ content: pausing(after, gate) })

/** The store does what it was asked; the connection breaks when about `after` bytes of its answer were given. */
export const cutsAnswer =
  (after: number): Fault =>
  ({ response, pass }) => {
    let left = after
    const content = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        left -= chunk.length
        if (left > 0) done(null, chunk)
        else response.destroy()
      },
    })
    if (after === 0) pass({ answer: async () => void response.destroy() })
    else pass({ content })
  }

/** A loopback proxy in front of the real store that understands its requests, and fails as a test wants it to. */
export const faultyStore = async (endpoint: string): Promise<FaultyStore> => {
  const { hostname, port } = new URL(endpoint)
  const traps: { wanted: Wanted | 'anything'; fault: Fault; left: number; meet(): void }[] = []
  const seen = new Map<Wanted, number>()

  const pass =
    (request: IncomingMessage, response: ServerResponse) =>
    ({ body, answer, content }: Passing = {}): void => {
      const { expect: _asked, ...headers } = request.headers
      const onward = ask({ hostname, port, method: request.method, path: request.url, headers, agent: false })
      const broken = () => {
        onward.destroy()
        response.destroy()
      }
      onward.on('error', broken)
      request.on('error', broken)
      response.on('error', broken).on('close', () => onward.destroy())
      if (body === undefined) request.pipe(onward)
      else request.pipe(body).pipe(onward)
      onward.on('response', (from) => {
        from.on('error', broken)
        void (answer?.() ?? Promise.resolve()).then(() => {
          if (response.destroyed) return
          response.writeHead(from.statusCode ?? 502, from.headers)
          if (content === undefined) from.pipe(response)
          else from.pipe(content).pipe(response)
        })
      })
    }

  const server = createServer((request, response) => {
    const wanted = wantedBy(request)
    seen.set(wanted, (seen.get(wanted) ?? 0) + 1)
    const trap = traps.find((one) => one.left > 0 && (one.wanted === wanted || one.wanted === 'anything'))
    const exchange = { request, response, pass: pass(request, response) }
    if (trap === undefined) {
      exchange.pass()
      return
    }
    trap.left -= 1
    trap.meet()
    void trap.fault(exchange)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    seen: (wanted) => seen.get(wanted) ?? 0,
    heal: () => void traps.splice(0),
    on: (wanted, fault, times = Number.POSITIVE_INFINITY) => {
      const met = Promise.withResolvers<void>()
      met.promise.catch(() => undefined)
      setTimeout(() => met.reject(new Error(`nobody asked for ${wanted}`)), 60_000).unref()
      let count = 0
      const trap = {
        wanted,
        fault,
        left: times,
        meet: () => {
          count += 1
          met.resolve()
        },
      }
      traps.unshift(trap)
      return {
        met: met.promise,
        count: () => count,
        lift: () => {
          trap.left = 0
        },
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
