import type { FastifyRequest } from 'fastify'
import type { Permission } from './permissions.ts'
import type { Person } from './person.ts'

declare module 'fastify' {
  class FastifyContextConfig {
    /** Who may call the route: its line in the table of permissions. The api refuses to boot with a route that has none. */
    may?: Permission
  }
}

const people = new WeakMap<FastifyRequest, Person>()

/** For the guards alone: says who is calling. */
export const callIsFrom = (request: FastifyRequest, person: Person): void => {
  people.set(request, person)
}

export const maybePersonOf = (request: FastifyRequest): Person | undefined => people.get(request)

/** The person who is calling. A route that docks or anyone may call must not ask. */
export const personOf = (request: FastifyRequest): Person => {
  const person = people.get(request)
  if (person === undefined) throw new Error('this route asks for a person where its permission lets others in')
  return person
}
