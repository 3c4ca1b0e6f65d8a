import PDFDocument from 'pdfkit'
import { linesOf, printable } from './drawing.ts'

/** A4, in points. */
const page = { width: 595.28, height: 841.89 }
const margin = 48
const width = page.width - 2 * margin
const lowest = page.height - margin - 12
const signs = { plain: 'Helvetica', bold: 'Helvetica-Bold', fixed: 'Courier' } as const
type Face = keyof typeof signs

export type Style = { face?: Face; size?: number; indent?: number; before?: number }

/** A document's own facts. The same give the same bytes: no clock is asked. */
export type Sheet = { title: string; footer: string; at: Date }

/**
 * Upright A4 pages, filled line by line. `take` answers the bytes of the pages that are full, and forgets them, so that
 * a document of any length needs the memory of a page or two. How many pages there are is known at the end alone: each
 * page's foot refers to one object that is written then.
 */
export const paper = ({ title, footer, at }: Sheet) => {
  const doc = new PDFDocument({
    size: 'A4',
    margin,
    autoFirstPage: false,
    compress: false,
    lang: 'en-GB',
    displayTitle: true,
    info: { Title: printable(title), Creator: 'Exhibit', Producer: 'Exhibit', CreationDate: at },
  })
  const font = doc.ref({ Type: 'Font', Subtype: 'Type1', BaseFont: 'Helvetica', Encoding: 'WinAnsiEncoding' })
  const total = doc.ref({
    Type: 'XObject',
    Subtype: 'Form',
    BBox: [0, -4, 120, 12],
    Resources: { Font: { F: font } },
  })
  let pages = 0
  let y = 0

  const turn = (): void => {
    doc.addPage()
    pages += 1
    y = margin
    doc.font(signs.plain).fontSize(8)
    const foot = page.height - margin + 14
    const number = `Page ${pages} `
    doc.text(printable(footer), margin, foot, { lineBreak: false })
    const x = page.width - margin - 70
    doc.text(number, x, foot, { lineBreak: false })
    doc.page.xobjects.Total = total
    // The page's own axis points down, a form's up.
    doc.addContent(
      `q 1 0 0 -1 ${(x + doc.widthOfString(number)).toFixed(2)} ${(foot + 5.75).toFixed(2)} cm /Total Do Q`,
    )
  }
  const room = (height: number): void => {
    if (pages === 0 || y + height > lowest) turn()
  }

  return {
    /** One text, over as many lines as it needs. */
    put: (text: string, { face = 'plain', size = 9, indent = 0, before = 0 }: Style = {}): void => {
      y += before
      const leading = size * 1.3
      doc.font(signs[face]).fontSize(size)
      const lines = linesOf(printable(text), width - indent, (each) => doc.widthOfString(each))
      for (const line of lines) {
        room(leading)
        doc.font(signs[face]).fontSize(size)
        doc.text(line, margin + indent, y, { lineBreak: false })
        y += leading
      }
    },
    /** Keeps so much together: goes to the next page where less is left. */
    keep: (height: number): void => room(height),
    rule: (): void => {
      room(8)
      y += 3
      doc
        .moveTo(margin, y)
        .lineTo(margin + width, y)
        .lineWidth(0.4)
        .stroke()
      y += 4
    },
    take: (): Buffer | null => {
      const bytes: unknown = doc.read()
      return Buffer.isBuffer(bytes) ? bytes : null
    },
    /** Ends the document. What is left of it is taken after this. */
    end: (): void => {
      font.end('')
      total.end(`BT /F 8 Tf 0 0 Td (of ${pages}) Tj ET`)
      doc.end()
    },
    rest: doc,
  }
}
