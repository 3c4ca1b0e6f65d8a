import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type TestEngines, testEngines } from '../engines.ts'
import { startIssuer, type TestIssuer } from '../tokens.ts'

let engines: TestEngines
let issuer: TestIssuer
const started: ChildProcess[] = []

beforeAll(async () => {
  issuer = await startIssuer()
  engines = await testEngines({ env: { OIDC_ISSUER: issuer.url } })
})
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

const main = new URL('../../src/api/main.ts', import.meta.url).pathname

const start = (env: Record<string, string>) => {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...engines.environment, HTTP_PORT: '0', LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  let said = ''
  child.stderr.on('data', (text) => {
    said += String(text)
  })
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, said }))
  return { child, ended }
}

/** The address in its log, once it is ready. */
const urlOf = async (child: ReturnType<typeof start>['child']): Promise<string> => {
  for await (const line of createInterface(child.stdout)) {
    const { url }: { url?: string } = JSON.parse(line)
    if (url !== undefined) return url
  }
  throw new Error('it ended before it was ready')
}

describe('the api as a process', () => {
  it('serves, and ends by itself when it is told to stop', async () => {
    const { child, ended } = start({})
    const url = await urlOf(child)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await ended).toEqual({ code: 0, said: '' })
  })

  it('lets a request in flight end when it is told to stop, and then goes', async () => {
    const { child, ended } = start({ STOP_SECONDS: '30' })
    const { hostname, port } = new URL(await urlOf(child))
    const body = JSON.stringify({ serial: 'BWC-LAST', model: 'Sentinel' })
    const token = await issuer.tokenFor('admin')
    const began = performance.now()
    const socket = connect(Number(port), hostname)
    const answer = (async () => {
      let text = ''
      for await (const chunk of socket) {
        text += String(chunk)
        // The server asks for the body: the request is in flight.
        if (/ 100 Continue\r\n\r\n$/.test(text)) child.kill('SIGTERM')
        if (text.endsWith('\r\n\r\n')) socket.write(body)
      }
      return text
    })()
    socket.write(
      `POST /api/v1/cameras HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nexpect: 100-continue\r\n\r\n`,
    )
    expect(await answer).toMatch(/ 201 .*"BWC-LAST"/s)
    expect(performance.now() - began).toBeLessThan(20_000)
    expect(await ended).toEqual({ code: 0, said: '' })
  })

  it('cuts what does not end within the time it was given', async () => {
    const { child, ended } = start({ STOP_SECONDS: '1' })
    const { hostname, port } = new URL(await urlOf(child))
    const socket = connect(Number(port), hostname)
    socket.write(
      `POST /api/v1/cameras HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${await issuer.tokenFor('admin')}\r\ncontent-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n`,
    )
    await once(socket, 'data')
    child.kill('SIGTERM')
    expect(await ended).toEqual({ code: 0, said: '' })
    socket.destroy()
  })

  const oneSentence = async (env: Record<string, string>) => {
    const { code, said } = await start(env).ended
    expect(code).toBe(1)
    expect(said.trim().split('\n')).toHaveLength(1)
    return said
  }

  it('says in one sentence that its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = address !== null && typeof address === 'object' ? String(address.port) : ''
    expect(await oneSentence({ HTTP_PORT: port })).toMatch(/HTTP_PORT.* taken/)
    other.close()
  })

  it('says in one sentence which variables are missing or wrong, and not what they hold', async () => {
    const said = await oneSentence({ OIDC_ISSUER: '', STOP_SECONDS: 'soon-secret' })
    expect(said).toMatch(/OIDC_ISSUER/)
    expect(said).toMatch(/STOP_SECONDS/)
    expect(said).not.toMatch(/soon-secret/)
  })

  it('says in one sentence that the database does not answer', async () => {
    expect(await oneSentence({ DATABASE_URL: 'postgres://exhibit_app@127.0.0.1:9/none' })).toMatch(
      /database.* does not answer/,
    )
  })

  it('refuses to run on a database that was not migrated, and says what to do', async () => {
    const url = new URL(engines.environment.DATABASE_URL ?? '')
    url.pathname = '/postgres'
    expect(await oneSentence({ DATABASE_URL: url.toString() })).toMatch(/migrate/)
  })

  it('refuses to run on a database of newer code', async () => {
    const owner = new Client({ connectionString: engines.ownerUrl })
    await owner.connect()
    await owner.query("insert into schema_needs values ('9999-future', 999)")
    try {
      expect(await oneSentence({})).toMatch(/newer/)
    } finally {
      await owner.query("delete from schema_needs where migration = '9999-future'")
      await owner.end()
    }
  })
})
