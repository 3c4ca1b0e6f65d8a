import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Value } from 'typebox/value'
import { type CameraSerial, Serial } from '../src/base/ids.ts'
import { enrolDock } from '../src/cli/dock/enrol.ts'
import type { DockOptions } from '../src/cli/dock/open-dock.ts'
import type { DockEvent } from '../src/cli/dock/outcome.ts'
import { uploadFolder } from '../src/cli/dock/upload-folder.ts'
import type { TestApi } from './api.ts'
import { startTestSystem } from './system.ts'

const main = path.resolve(import.meta.dirname, '../src/cli/main.ts')

/** A camera's folder and a dock's key file, with the whole system they belong to. */
export type Docking = AsyncDisposable & {
  system: TestApi
  /** Each `next` gives a fresh set of these. */
  folder: string
  keyFile: string
  camera: CameraSerial
  receiptsFolder: string
  next(): Promise<void>
  enrol(url?: string, keyFile?: string): ReturnType<typeof enrolDock>
  /** A file of random bytes that was last changed an hour ago. */
  footage(name: string, size: number): Promise<void>
  isThere(name: string): Promise<boolean>
  upload(more?: Partial<DockOptions>): Promise<Uploaded>
}
type Uploaded = Awaited<ReturnType<typeof uploadFolder>> & { states: Record<string, string>; events: DockEvent[] }

export const startDocking = async (): Promise<Docking> => {
  const system = await startTestSystem()
  const place = await mkdtemp(path.join(tmpdir(), 'exhibit-dock-'))
  let count = 0
  const docking: Docking = {
    system,
    folder: '',
    keyFile: '',
    receiptsFolder: '',
    camera: Value.Parse(Serial, 'BWC'),
    next: async () => {
      count++
      docking.camera = Value.Parse(Serial, `BWC-${count}`)
      docking.folder = path.join(place, String(count), 'card')
      docking.keyFile = path.join(place, String(count), 'dock.json')
      docking.receiptsFolder = path.join(place, String(count), 'receipts')
      await mkdir(docking.folder, { recursive: true })
    },
    enrol: async (url = system.api.url, keyFile = docking.keyFile) => {
      const token = await system.issuer.tokenFor('admin')
      return await enrolDock({ name: 'Desk', site: 'Central', keyFile, url, token })
    },
    footage: async (name, size) => {
      const file = path.join(docking.folder, name)
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, randomBytes(size))
      const at = new Date(Date.now() - 3_600_000)
      await utimes(file, at, at)
    },
    isThere: async (name) =>
      await access(path.join(docking.folder, name)).then(
        () => true,
        () => false,
      ),
    upload: async (more = {}) => {
      const { folder, keyFile, camera } = docking
      const events: DockEvent[] = []
      const onEvent = (event: DockEvent) => {
        events.push(event)
        more.onEvent?.(event)
      }
      const summary = await uploadFolder({ folder, keyFile, camera, patience: 20, wait: 30, ...more, onEvent })
      return { ...summary, states: Object.fromEntries(summary.files.map(({ name, state }) => [name, state])), events }
    },
    [Symbol.asyncDispose]: async () => {
      await system[Symbol.asyncDispose]()
      await rm(place, { recursive: true, force: true })
    },
  }
  return docking
}

/** A link between dock and installation that can break: after so many bytes towards the installation, or by falling silent. */
export const startLink = async (to: string) => {
  const target = new URL(to)
  const sockets = new Set<{ destroy(): void }>()
  let left = Number.POSITIVE_INFINITY
  let silent = false
  let cuts = 0
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    for (const each of [near, far]) {
      sockets.add(each)
      each.on('error', () => undefined)
      each.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    far.on('data', (bytes) => near.write(bytes))
    near.on('data', (bytes) => {
      if (silent) return
      left -= bytes.length
      if (left < 0) {
        left = Number.POSITIVE_INFINITY
        cuts++
        near.destroy()
      } else if (!far.write(bytes)) {
        near.pause()
        far.once('drain', () => near.resume())
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    url: `http://127.0.0.1:${address.port}`,
    cuts: () => cuts,
    cutAfter: (bytes: number) => {
      left = bytes
    },
    fallSilent: (yes: boolean) => {
      silent = yes
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of sockets) each.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** `exhibit …` as a process of its own. */
export const started = (args: string[]): ChildProcess =>
  spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, EXHIBIT_DEBUG: '' },
  })

/** The same, to its end. */
export const exhibit = async (args: string[]) => {
  const child = started(args)
  let out = ''
  let err = ''
  child.stdout?.on('data', (text) => {
    out += String(text)
  })
  child.stderr?.on('data', (text) => {
    err += String(text)
  })
  const [code] = await once(child, 'close')
  return { code, out, err }
}
