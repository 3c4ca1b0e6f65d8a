import { setTimeout as sleep } from 'node:timers/promises'
import { sentence } from '../failure.ts'
import { type Found, look } from './folder.ts'
import { type Dock, type DockOptions, openDock } from './open-dock.ts'
import type { Outcome } from './outcome.ts'
import { work } from './work.ts'

type WatchOptions = DockOptions & {
  /** Between two looks, in seconds; 5 by default. */
  every?: number | undefined
  signal: AbortSignal
}

/** What is known of a file between two looks. `stamp` tells when it changed. */
type Sight =
  | { stamp: string; phase: 'seen' | 'working' | 'done' }
  | { stamp: string; phase: 'later'; at: number; failures: number }

const settled = new Set(['held', 'wiped', 'quarantined', 'erased'])
const laterMs = (failures: number): number => Math.min(600_000, 15_000 * 2 ** (failures - 1))

/**
 * Looks again and again, and brings into custody what is new, until `signal` ends it. A file is taken when two looks in a
 * row saw it alike, so that one that is still being copied is left alone. What failed is tried again, ever more rarely.
 */
export const watchFolder = async (options: WatchOptions): Promise<void> => {
  const { folder, every = 5, signal } = options
  const sights = new Map<string, Sight>()
  const running = new Set<Promise<void>>()
  let complaint = ''

  const complain = (dock: Dock, error: unknown): void => {
    const text = sentence(error)
    if (text !== complaint) dock.tell({ type: 'note', text })
    complaint = text
  }
  const isDue = (file: Found): boolean => {
    const sight = sights.get(file.name)
    if (sight === undefined || sight.stamp !== file.stamp) {
      if (sight?.phase !== 'working') sights.set(file.name, { stamp: file.stamp, phase: 'seen' })
      return false
    }
    return sight.phase === 'seen' || (sight.phase === 'later' && sight.at <= performance.now())
  }
  const take = async (dock: Dock, files: Found[]): Promise<void> => {
    const before = new Map(files.map(({ name }) => [name, sights.get(name)]))
    for (const { name, stamp } of files) sights.set(name, { stamp, phase: 'working' })
    let outcomes: Outcome[] = []
    try {
      outcomes = await work(dock, files)
      complaint = ''
    } catch (error) {
      complain(dock, error)
    }
    const states = new Map(outcomes.map(({ name, state }) => [name, state]))
    for (const { name, stamp } of files) {
      const earlier = before.get(name)
      const failures = earlier?.phase === 'later' ? earlier.failures + 1 : 1
      if (settled.has(states.get(name) ?? 'failed')) sights.set(name, { stamp, phase: 'done' })
      else sights.set(name, { stamp, phase: 'later', at: performance.now() + laterMs(failures), failures })
    }
  }

  const open = async (): Promise<Dock> => await openDock({ ...options, wait: options.wait ?? 86_400 })
  let dock = await open()
  try {
    while (!signal.aborted) {
      try {
        // A dock that was refused is opened anew: its key file may have changed, or its suspension ended.
        if (dock.halted() !== undefined && running.size === 0) {
          await dock.close()
          dock = await open()
        }
        const { files } = await look(folder)
        dock.memory.keepOnly(files.map(({ name }) => name))
        for (const [name, { phase }] of sights) {
          if (phase !== 'working' && !files.some((file) => file.name === name)) sights.delete(name)
        }
        const due = dock.halted() === undefined ? files.filter(isDue) : []
        if (due.length > 0) {
          const taking = take(dock, due).finally(() => running.delete(taking))
          running.add(taking)
        }
      } catch (error) {
        complain(dock, error)
      }
      await sleep(every * 1000, undefined, { signal }).catch(() => undefined)
    }
    await Promise.all(running)
  } finally {
    await dock.close()
  }
}
