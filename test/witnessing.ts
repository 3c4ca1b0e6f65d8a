import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { type Clock, systemClock } from '../src/engines/clock.ts'
import { openWitnessFolder } from '../src/ledger/witness/folder.ts'
import { makeWitnessServer } from '../src/ledger/witness/serve.ts'
import { makeWitness, readLogKeys } from '../src/ledger/witness/witness.ts'

export const witnessName = 'witness.example/w1'

export const temporaryFolder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'exhibit-witness-'))
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) }
}

export const hashOf = (origin: string): string => createHash('sha256').update(origin).digest('hex')

/** One request to a witness. */
export const ask = async (url: string, path: string, body?: string | Uint8Array<ArrayBuffer>) => {
  const response = await fetch(`${url}${path}`, body === undefined ? {} : { method: 'POST', body })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

type Options = { data: string; logs: string[]; name?: string; clock?: Clock; requestMs?: number }

/** A witness that listens on loopback, in this process. */
export const startWitness = async ({ data, logs, name = witnessName, clock = systemClock, requestMs }: Options) => {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const folder = await openWitnessFolder(data, name)
  const witness = makeWitness(folder, readLogKeys(logs), clock)
  const server = makeWitnessServer(witness, log, requestMs === undefined ? {} : { requestMs })
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    key: folder.key,
    /** What it logged. */
    lines,
    add: async (body: string | Uint8Array<ArrayBuffer>) => await ask(url, '/add-checkpoint', body),
    newest: async (origin: string) => await ask(url, `/${hashOf(origin)}/checkpoint`),
    [Symbol.asyncDispose]: async () => {
      await server.close()
      await folder.close()
    },
  }
}
