import { buffer } from 'node:stream/consumers'
import PDFDocument from 'pdfkit'
import { linesOf, type Measure, printable } from '../continuity/drawing.ts'
import type { BundleStory } from './story.ts'

const fontSize = 8
const leading = 10
const gap = 6
const margin = 36

type Column = { title: string; width: number }

const table: Column[] = [
  { title: 'Item', width: 30 },
  { title: 'Reference', width: 52 },
  { title: 'Description and content', width: 250 },
  { title: 'Location', width: 178 },
  { title: 'Evidence', width: 140 },
  { title: 'CPS decision and comment', width: 90 },
]

type Doc = InstanceType<typeof PDFDocument>

const headerOf = ({ bundle, case: of }: BundleStory): string[] => [
  `Case ${of.reference}: ${of.title}`,
  `Schedule ${bundle.schedule}, ${bundle.askedAt}, for ${bundle.recipient}. Bundle ${bundle.id}.`,
]

/** Writes rows line by line, so that one of any length goes on over the page; the headings stand on each. */
const writer = (doc: Doc, story: BundleStory) => {
  const isFull = (): boolean => y > doc.page.height - margin - leading
  let y = margin
  let page = 0

  const put = (cells: readonly string[], bold: boolean): void => {
    doc.font(bold ? 'Helvetica-Bold' : 'Helvetica').fontSize(fontSize)
    let x = margin
    for (const [at, { width }] of table.entries()) {
      const text = cells[at] ?? ''
      if (text !== '') doc.text(text, x, y, { lineBreak: false })
      x += width + gap
    }
    y += leading
  }
  const rule = (): void => {
    doc
      .moveTo(margin, y)
      .lineTo(doc.page.width - margin, y)
      .lineWidth(0.5)
      .stroke()
    y += 4
  }
  const begin = (): void => {
    doc.addPage()
    page += 1
    y = margin
    doc.font('Helvetica-Bold').fontSize(13)
    doc.text('MG6C: schedule of relevant non-sensitive material', margin, y, { lineBreak: false })
    y += 18
    doc.font('Helvetica').fontSize(fontSize)
    const width = doc.page.width - 2 * margin
    const measure: Measure = (text) => doc.widthOfString(text)
    for (const line of [...headerOf(story), `Page ${page}`].flatMap((text) =>
      linesOf(printable(text), width, measure),
    )) {
      doc.text(line, margin, y, { lineBreak: false })
      y += leading
    }
    y += 4
    put(
      table.map(({ title }) => title),
      true,
    )
    rule()
  }
  return {
    begin,
    row: (cells: readonly string[]): void => {
      doc.font('Helvetica').fontSize(fontSize)
      const columns = table.map(({ width }, at) =>
        linesOf(printable(cells[at] ?? ''), width, (text) => doc.widthOfString(text)),
      )
      const most = Math.max(...columns.map((lines) => lines.length))
      for (let line = 0; line < most; line += 1) {
        if (isFull()) begin()
        put(
          columns.map((lines) => lines[line] ?? ''),
          false,
        )
      }
      rule()
    },
    note: (text: string): void => {
      doc.font('Helvetica').fontSize(fontSize)
      const width = doc.page.width - 2 * margin
      for (const line of linesOf(printable(text), width, (each) => doc.widthOfString(each))) {
        if (isFull()) begin()
        doc.text(line, margin, y, { lineBreak: false })
        y += leading
      }
    },
  }
}

/** The schedule to print. The same schedule gives the same bytes: the time and the id in it are the bundle's. */
export const schedulePdf = async (story: BundleStory): Promise<Buffer> => {
  const doc = new PDFDocument({
    size: 'A4',
    layout: 'landscape',
    margin,
    autoFirstPage: false,
    compress: false,
    lang: 'en-GB',
    displayTitle: true,
    info: {
      Title: `MG6C, schedule ${story.bundle.schedule} of case ${printable(story.case.reference)}`,
      Creator: 'Exhibit',
      Producer: 'Exhibit',
      CreationDate: new Date(story.bundle.askedAt),
    },
  })
  const whole = buffer(doc)
  const to = writer(doc, story)
  to.begin()
  for (const { item, reference, description, content, location, range, evidence, sha256, listed } of story.schedule) {
    const what = `${description} ${content} It is ${range}.`
    to.row([String(item), reference, what, location, `${evidence}. SHA-256 ${sha256}. Listed on ${listed}.`, ''])
  }
  to.note(
    'Sensitive material is on no schedule of this bundle. A sign that the fonts of this file do not have is given by its code point, as [U+0416]; the CSV and the JSON beside it hold it as it was written.',
  )
  doc.end()
  return await whole
}
