import type { FastifyRequest, FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Problem } from '../base/problem.ts'

type Part = 'body' | 'query'
type Fault = ReturnType<ReturnType<typeof Compile>['Errors']>[number]
type Schema = { [keyword: string]: unknown }

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The schema with every object closed that does not say otherwise: what we do not know, we do not ignore. */
const closed = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(closed)
  if (!isRecord(schema)) return schema
  const inner = Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [keyword, keyword === 'allOf' ? value : closed(value)]),
  )
  return schema.type === 'object' && 'properties' in schema ? { additionalProperties: false, ...inner } : inner
}

const quoted = (names: readonly string[]): string => names.map((name) => JSON.stringify(name.slice(0, 64))).join(', ')

/** One sentence about what is wrong. */
const sentence = (part: Part, faults: Fault[]): string => {
  const fault = faults.find(({ keyword }) => keyword === 'additionalProperties') ?? faults.at(-1)
  if (fault === undefined) return `The ${part} is not what is expected.`
  const at = fault.instancePath.slice(1).replaceAll('/', '.')
  const where = at === '' ? `The ${part}` : `${quoted([at])} in the ${part}`
  if (fault.keyword === 'additionalProperties') {
    return `${where} has an unknown ${part === 'query' ? 'key' : 'member'}: ${quoted(fault.params.additionalProperties)}.`
  }
  if (fault.keyword === 'required') return `${where} lacks ${quoted(fault.params.requiredProperties)}.`
  if (fault.keyword === 'anyOf') return `${where} is none of what is offered.`
  return `${where} ${fault.message}.`
}

const fromQuery = (schema: unknown, value: unknown): unknown => {
  if (typeof value !== 'string' || !isRecord(schema)) return value
  if (schema.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  const numeric = schema.type === 'integer' || schema.type === 'number'
  return numeric && /^-?\d{1,15}(\.\d{1,15})?$/.test(value) ? Number(value) : value
}

/** A query is text: what should be a number or a boolean is read as one, and absent keys get their defaults. */
const readQuery = (schema: TSchema, query: unknown): unknown => {
  if (!isRecord(query) || !('properties' in schema) || !isRecord(schema.properties)) return query
  const read: Schema = {}
  for (const [key, value] of Object.entries(query)) read[key] = fromQuery(schema.properties[key], value)
  for (const [key, property] of Object.entries(schema.properties)) {
    if (!(key in read) && isRecord(property) && 'default' in property) read[key] = property.default
  }
  return read
}

/** Bodies are taken as they are, queries are read from text; an address that cannot be ours names nothing. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (httpPart === 'headers') return (value: unknown) => ({ value })
  const strict: TSchema = httpPart === 'params' ? schema : Object(closed(JSON.parse(JSON.stringify(schema))))
  const validator = Compile(strict)
  return (given: unknown) => {
    const value = httpPart === 'querystring' ? readQuery(schema, given) : given
    if (validator.Check(value)) return { value }
    if (httpPart === 'params') return { error: new Problem('not-found') }
    const part: Part = httpPart === 'querystring' ? 'query' : 'body'
    return { error: new Problem('bad-request', sentence(part, validator.Errors(value))) }
  }
}

const isText = (value: unknown): boolean => typeof value !== 'string' || (value.isWellFormed() && !value.includes('\0'))
const allText = (values: unknown): boolean => !isRecord(values) || Object.values(values).flat().every(isText)

/** What no schema says: routes without a schema for it take no query and no body, and no text holds NUL. */
export const refuseWhatNobodyAskedFor = async (request: FastifyRequest): Promise<void> => {
  const { schema } = request.routeOptions
  if (!allText(request.params)) throw new Problem('not-found')
  if (!allText(request.query)) throw new Problem('bad-request', 'The query holds characters that are no text.')
  const keys = isRecord(request.query) ? Object.keys(request.query) : []
  if (schema?.querystring === undefined && keys.length > 0) {
    throw new Problem('bad-request', `The query has an unknown key: ${quoted(keys)}.`)
  }
  if (schema?.body === undefined && request.body !== undefined)
    throw new Problem('bad-request', 'No body is expected here.')
}
