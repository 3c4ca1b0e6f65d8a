import type { FastifyRequest } from 'fastify'
import type { Actor } from '../ledger/entry.ts'
import { maybePersonOf } from '../people/caller.ts'
import { actor } from '../people/person.ts'
import { type Dock, dockActor } from './dock.ts'

const docks = new WeakMap<FastifyRequest, Dock>()

/** For the guards alone: says which dock is calling. */
export const callIsFromDock = (request: FastifyRequest, dock: Dock): void => {
  docks.set(request, dock)
}

/** The dock that is calling, where people may call too. */
export const maybeDockOf = (request: FastifyRequest): Dock | undefined => docks.get(request)

/** The dock that is calling. A route that people may call too must not ask. */
export const dockOf = (request: FastifyRequest): Dock => {
  const dock = docks.get(request)
  if (dock === undefined) throw new Error('this route asks for a dock where its permission lets others in')
  return dock
}

/** Whoever is calling, as entries name them; a person in the role that lets them call this route. */
export const actorOf = (request: FastifyRequest): Actor => {
  const person = maybePersonOf(request)
  return person === undefined ? dockActor(dockOf(request)) : actor(person, request.routeOptions.config.may)
}
