import { type TSchema, Type } from 'typebox'
import { encodeCursor } from '../base/cursor.ts'

/** What every list takes, and what it answers (design, section 4). */
export const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Items a page' }))
export const Cursor = Type.Optional(Type.String({ maxLength: 4000, description: '`nextCursor` of the page before' }))
export const pageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({ items: Type.Array(item), nextCursor: Type.Union([Type.String(), Type.Null()]) })

export const defaultLimit = 50

/** Cuts rows that were fetched with one more than `limit` into a page; `keys` are a row's sort values. */
export const cutPage = <Row, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  keys: (row: Row) => string[],
): { items: Item[]; nextCursor: string | null } => {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    items: page.map(item),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(keys(last)) : null,
  }
}
