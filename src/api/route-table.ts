import type { FastifyInstance, RouteOptions } from 'fastify'
import { inWords, type Permission } from '../people/permissions.ts'

export type RouteLine = { method: string; path: string; may: Permission; who: string }

const tables = new WeakMap<object, RouteOptions[]>()

const methodsOf = ({ method }: RouteOptions): string[] => [method].flat()

/** Keeps every route that is registered from now on. Boot fails on one that does not say who may call it. */
export const keepRouteTable = (app: FastifyInstance): void => {
  const routes: RouteOptions[] = []
  tables.set(app.server, routes)
  app.addHook('onRoute', (route) => {
    routes.push(route)
  })
  app.addHook('onReady', async () => {
    const open = routes.filter((route) => route.config?.may === undefined)
    if (open.length === 0) return
    const names = open.map((route) => `${methodsOf(route).join('|')} ${route.url}`)
    throw new Error(`These routes do not say who may call them (config.may): ${names.join(', ')}`)
  })
}

/** Every method of every route and who may call it, by path. */
export const routeTable = (app: FastifyInstance): RouteLine[] =>
  (tables.get(app.server) ?? [])
    .flatMap((route) => {
      const may = route.config?.may
      return may === undefined
        ? []
        : methodsOf(route).map((method) => ({ method, path: route.url, may, who: inWords(may) }))
    })
    .sort((a, b) => a.path.localeCompare(b.path, 'en') || a.method.localeCompare(b.method, 'en'))

/** The methods that are offered at an address: none when there is nothing. */
export const methodsAt = (app: FastifyInstance, path: string): string[] => {
  const steps = path.split('/')
  const fits = (pattern: string): boolean => {
    const wanted = pattern.split('/')
    const open = wanted.at(-1) === '*'
    if (open ? steps.length < wanted.length : steps.length !== wanted.length) return false
    return wanted.every((step, n) => step === '*' || step === steps[n] || (step.startsWith(':') && steps[n] !== ''))
  }
  return [...new Set(routeTable(app).flatMap((line) => (fits(line.path) ? [line.method] : [])))].sort()
}
