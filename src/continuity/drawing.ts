/** Beyond Latin-1, what the standard fonts of every reader have. */
const further = '€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ'

/**
 * Text as a standard font can show it, on one line: no font is embedded, so that the file stays small and the same. What it
 * cannot show is named by its code point, never dropped or changed for something else; the JSON beside it holds it as it is.
 */
export const printable = (text: string): string =>
  [...text.toWellFormed().normalize('NFC').replace(/\s+/g, ' ').trim()]
    .map((sign) =>
      /^[ -~\u00a0-\u00ac\u00ae-\u00ff]$/.test(sign) || further.includes(sign)
        ? sign
        : `[U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .join('')

export type Measure = (text: string) => number

/** A word that is wider than its column is broken anywhere. */
const pieces = (word: string, width: number, measure: Measure): string[] => {
  const found: string[] = []
  let piece = ''
  for (const sign of word) {
    if (piece !== '' && measure(piece + sign) > width) {
      found.push(piece)
      piece = ''
    }
    piece += sign
  }
  return [...found, piece]
}

/** The lines that a text of printable signs takes in this width. */
export const linesOf = (text: string, width: number, measure: Measure): string[] => {
  if (measure(text) <= width) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (measure(longer) <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    const broken = pieces(word, width, measure)
    lines.push(...broken.slice(0, -1))
    line = broken.at(-1) ?? ''
  }
  return [...lines, line]
}
