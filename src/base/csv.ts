/** What a spreadsheet takes for the beginning of a formula: also behind spaces, and in its full-width form. */
const formula = /^\s*[=+\-@\t\r＝＋－＠]/

/**
 * A field of a table (RFC 4180): in quotation marks where it has to be. Text that a spreadsheet would run gets an apostrophe
 * before it, which the spreadsheet does not show; numbers of ours are no such text.
 */
const fieldOf = (value: string | number): string => {
  if (typeof value === 'number') return String(value)
  const safe = formula.test(value) ? `'${value}` : value
  return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** What a table begins with, by which spreadsheets know that it is UTF-8. */
export const csvMark = '\ufeff'

/** Lines of comma-separated values, each ended by CR LF. */
export const csvLines = (rows: readonly (readonly (string | number)[])[]): string =>
  rows.map((row) => `${row.map(fieldOf).join(',')}\r\n`).join('')

/** A whole table as comma-separated values, UTF-8. */
export const csvOf = (rows: readonly (readonly (string | number)[])[]): string => `${csvMark}${csvLines(rows)}`
