import { afterAll, beforeAll, expect, test } from 'vitest'
import { routeTable } from '../../src/api/route-table.ts'
import { startTestApi, type TestApi } from '../api.ts'

type Operation = {
  summary?: string
  security?: unknown[]
  requestBody?: { content: Record<string, { schema: unknown }> }
  responses: Record<string, { content?: Record<string, unknown> }>
}
type Document = {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
}

let api: TestApi
let document: Document
beforeAll(async () => {
  api = await startTestApi()
  document = (await api.ask('GET', '/api/openapi.json')).body as Document
})
afterAll(async () => await api[Symbol.asyncDispose]())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )

test('the description is OpenAPI 3.1 and anyone may read it', () => {
  expect(document.openapi).toBe('3.1.0')
  expect(document.components.schemas).toHaveProperty('Problem')
})

test('every route of the api is described, and none that is not there', () => {
  const described = new Set(operations().map(({ name }) => name))
  const registered = routeTable(api.api.app)
    .filter(({ path, method }) => path.startsWith('/api/v1') && method !== 'HEAD')
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{*}')}`)
  expect(registered.length).toBeGreaterThan(25)
  for (const name of registered) expect(described).toContain(name)
})

test('every operation says in a line what it is for, who may call it and how it refuses', () => {
  for (const { name, operation } of operations()) {
    expect(operation.summary, name).toMatch(/\S/)
    expect(
      Object.keys(operation.responses).some((status) => status.startsWith('2')),
      name,
    ).toBe(true)
    if (operation.security?.length === 0 || operation.security === undefined) continue
    expect(operation.responses, name).toHaveProperty('401')
    expect(operation.responses, name).toHaveProperty('403')
  }
})

test('refusals are described as problem documents with examples', () => {
  for (const { name, operation } of operations()) {
    for (const [status, response] of Object.entries(operation.responses)) {
      // The report of /readyz is the same document whether all is well or not.
      if (Number(status) < 400 || name === 'GET /readyz') continue
      const problem = response.content?.['application/problem+json'] as { examples?: object } | undefined
      expect(Object.keys(problem?.examples ?? {}).length, `${name} ${status}`).toBeGreaterThan(0)
    }
  }
})
