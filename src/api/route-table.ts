import type { FastifyInstance, RouteOptions } from 'fastify'
import { inWords, type Permission } from '../people/permissions.ts'

export type RouteLine = { method: string; path: string; may: Permission; who: string }

type Kept = { methods: string[]; path: string; options: RouteOptions }

const tables = new WeakMap<object, Kept[]>()

/** Keeps every route that is registered from now on. Boot fails on one that does not say who may call it. */
export const keepRouteTable = (app: FastifyInstance): void => {
  const routes: Kept[] = []
  tables.set(app.server, routes)
  app.addHook('onRoute', (options) => {
    routes.push({ methods: [options.method].flat(), path: options.url, options })
  })
  app.addHook('onReady', async () => {
    const open = routes.filter(({ options }) => options.config?.may === undefined)
    if (open.length === 0) return
    const names = open.map(({ methods, path }) => `${methods.join('|')} ${path}`)
    throw new Error(`These routes do not say who may call them (config.may): ${names.join(', ')}`)
  })
}

const linesOf = (app: FastifyInstance): RouteLine[] =>
  (tables.get(app.server) ?? []).flatMap(({ methods, path, options }) => {
    const may = options.config?.may
    return may === undefined ? [] : methods.map((method) => ({ method, path, may, who: inWords(may) }))
  })

/** Every method of every route and who may call it, by path. */
export const routeTable = (app: FastifyInstance): RouteLine[] =>
  linesOf(app).sort((a, b) => a.path.localeCompare(b.path, 'en') || a.method.localeCompare(b.method, 'en'))

/** The methods that are offered at an address: none when there is nothing. */
export const methodsAt = (app: FastifyInstance, path: string): string[] => {
  const steps = path.split('/')
  const fits = (pattern: string): boolean => {
    const wanted = pattern.split('/')
    const open = wanted.at(-1) === '*'
    if (open ? steps.length < wanted.length : steps.length !== wanted.length) return false
    return wanted.every((step, n) => step === '*' || step === steps[n] || (step.startsWith(':') && steps[n] !== ''))
  }
  return [...new Set(linesOf(app).flatMap((line) => (fits(line.path) ? [line.method] : [])))].sort()
}
