/** HTML that was made here, in which everything from outside was escaped. */
export type Markup = { readonly markup: string }

type Value = Markup | readonly Markup[] | string | number

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text from outside as it may be shown: what would turn it round, or hide a part of it, becomes visible. */
const shown = (text: string): string =>
  text.toWellFormed().replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\ufffd')

const escaped = (text: string): string => shown(text).replace(/[&<>"']/g, (letter) => escapes[letter] ?? letter)

const isMarkup = (value: Value): value is Markup => typeof value === 'object' && 'markup' in value

const written = (value: Value): string => {
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number') return String(value)
  return isMarkup(value) ? value.markup : value.map(({ markup }) => markup).join('')
}

/** A template of HTML: every text that is put into it is escaped, in elements and in quoted attributes. */
export const html = (parts: TemplateStringsArray, ...values: Value[]): Markup => ({
  markup: parts.reduce((made, part, index) => made + written(values[index - 1] ?? '') + part),
})

/** Text whose direction is its own and turns nothing beside it. */
export const apart = (text: string): Markup => html`<bdi>${text}</bdi>`

/** JSON as it may stand in a script element: nothing in it ends that element or begins another. */
export const inertJson = (value: unknown): Markup => ({
  markup: JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029'),
})
