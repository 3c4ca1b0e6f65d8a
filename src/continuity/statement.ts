import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { canonical, type Json } from '../base/canonical.ts'
import type { EntryId } from '../base/ids.ts'
import type { Act, ErasedAct, ShownAct, Standing, Who, WithheldAct } from './act.ts'
import type { Facts, Subject } from './facts.ts'
import type { LogView } from './log-view.ts'
import { paper } from './paper.ts'
import { partInWords } from './words-of-retention.ts'

/** All of a statement but its acts. `entry`: of the reading, or of the disclosure, for which it was made. */
export type Statement = {
  subject: Subject
  facts: Facts
  logs: readonly LogView[]
  /** RFC 3339: what the document gives as its date. */
  madeAt: string
  madeFor: string
  entry: EntryId
  /** The name of the installation. */
  holder: string
  /** Up to when acts are listed, where that is not when it was made. */
  until?: string
  checking: readonly string[]
}

type Paper = ReturnType<typeof paper>
type Acts = AsyncIterable<readonly Act[]> | Iterable<readonly Act[]>

const moment = (at: string): string => `${at.replace('T', ' ').replace(/Z$/, '')} UTC`

const line = (to: Paper, name: string, value: string, fixed = false): void =>
  to.put(`${name}: ${value}`, { indent: 12, ...(fixed ? { face: 'fixed', size: 8 } : {}) })

const said = (value: Json): string => (typeof value === 'string' ? `“${value}”` : canonical(value))

const clockWords = (offset: number | null): string => {
  if (offset === null) return 'by its own clock, which nobody compared'
  if (offset === 0) return 'by its own clock, which was right when it was docked'
  return `by its own clock, which was ${Math.abs(offset)} s ${offset > 0 ? 'ahead' : 'behind'} when it was docked`
}

const writeFacts = (to: Paper, { facts }: Statement): void => {
  const { clip } = facts
  to.put('What it is', { face: 'bold', size: 11, before: 10 })
  if (clip !== null) {
    const title = clip.title === null ? 'whose title was erased with the recording' : `“${clip.title}”`
    line(to, 'Clip', `${clip.id}, ${title}, asked for from ${clip.start} s to ${clip.end} s of the recording`)
    if (clip.sha256 !== null) line(to, 'SHA-256 of the clip', clip.sha256, true)
    if (clip.size !== null) line(to, 'Size of the clip', `${clip.size} bytes`)
  }
  line(to, 'Recording', facts.recording)
  line(to, 'Camera', `${facts.camera}${facts.officer === null ? '' : `, assigned to ${facts.officer}`}`)
  line(to, 'File', `“${facts.filename}”, ${facts.size} bytes`)
  line(to, 'SHA-256 of the recording', facts.sha256 ?? 'not known: it was not read back yet', true)
  line(to, 'Recorded', `${moment(facts.recordedAt)}, ${clockWords(facts.clockOffset)}`)
  line(to, 'Received', `${moment(facts.receivedAt)}, when the last byte had arrived`)
  line(to, 'State', `${facts.status}${facts.flags.length === 0 ? '' : `; flagged: ${facts.flags.join(', ')}`}`)
}

const writeLogs = (to: Paper, { logs }: Statement): void => {
  to.put('The log', { face: 'bold', size: 11, before: 10 })
  if (logs.length === 0) to.put('No log was begun yet: nothing here is under a signed head.', { indent: 12 })
  for (const { origin, vkey, checkpoint } of logs) {
    line(to, 'Origin', origin)
    line(to, 'Key', vkey, true)
    if (checkpoint === null) line(to, 'Newest head', 'none is published yet')
    else {
      line(to, 'Newest head', `over ${checkpoint.size} leaves, signed:`)
      for (const each of checkpoint.note.trimEnd().split('\n'))
        to.put(each === '' ? ' ' : each, { face: 'fixed', size: 8, indent: 24 })
    }
  }
}

const standingWords = ({ origin, index, underCheckpoint }: Standing): string => {
  if (index === null) return 'not in the log yet'
  return `place ${index} of ${origin}, ${underCheckpoint ? 'under the signed head above' : 'not under a signed head yet'}`
}

const writeStanding = (to: Paper, act: Act): void => {
  line(to, 'Leaf', act.leaf, true)
  line(to, 'In the log', standingWords(act))
}

const whoWords = ({ kind, id, name, role, job }: Who): string => {
  const known = name === null ? id : `${name} (${id})`
  const more = [...(role === undefined ? [] : [`as ${role}`]), ...(job === undefined ? [] : [`job ${job}`])]
  return [`${kind} ${known}`, ...more].join(', ')
}

const writeChanged = (to: Paper, { what, before, after }: NonNullable<ShownAct['changed']>): void => {
  const name = what === 'viewing-copy' ? 'copy to look at' : what
  if (before !== null && before === after) {
    line(to, `SHA-256 of the ${name}, before and after`, before, true)
    return
  }
  const source = what === 'clip' || what === 'viewing-copy' ? 'recording' : name
  line(to, `SHA-256 before, of the ${source}`, before ?? 'there was none', true)
  line(to, `SHA-256 after, of the ${name}`, after ?? 'there is none', true)
}

const writeSealed = (to: Paper, { sealed, erased }: ShownAct): void => {
  for (const [part, digest] of Object.entries(sealed)) {
    const erasure = Object.entries(erased).find(([name]) => name === part)?.[1]
    const state = erasure === undefined ? 'sealed' : `erased by entry ${erasure}`
    line(to, `${(partInWords[part] ?? part).replace(/^./, (sign) => sign.toUpperCase())} (${state})`, digest, true)
  }
}

const writeShown = (to: Paper, act: ShownAct): void => {
  to.put(act.words, { indent: 12, size: 9.5 })
  if (act.who !== null) line(to, 'Who', whoWords(act.who))
  if (act.why !== undefined) line(to, 'Why', said(act.why))
  if (act.recipient !== undefined) line(to, 'To whom', said(act.recipient))
  const policy = act.disclosed.parts.policy?.value
  if (policy !== undefined) line(to, 'Under which rule', said(policy))
  if (act.changed !== undefined) writeChanged(to, act.changed)
  writeSealed(to, act)
  line(to, 'Entry', act.entry)
  writeStanding(to, act)
}

const writeErased = (to: Paper, act: ErasedAct): void => {
  to.put(act.words, { indent: 12, size: 9.5 })
  line(to, 'Entry', act.entry)
  writeStanding(to, act)
}

const writeWithheld = (to: Paper, act: WithheldAct): void => {
  to.put('An act that is not told to the reader of this statement.', { indent: 12, size: 9.5 })
  writeStanding(to, act)
}

const titleOf = (number: number, act: Act): string => {
  switch (act.shown) {
    case 'withheld':
      return `${number}. ${act.day}`
    case 'erased':
      return `${number}. ${moment(act.at)}`
    case 'whole':
    case 'in-part':
      return `${number}. ${moment(act.at)}: ${act.operation}${act.outcome === 'allowed' ? '' : `, ${act.outcome}`} (${act.action})`
  }
}

/** So much of an act is not parted from its title. */
const together = 60

const writeAct = (to: Paper, number: number, act: Act): void => {
  to.keep(together)
  to.put(titleOf(number, act), { face: 'bold', before: 7 })
  if (act.shown === 'withheld') writeWithheld(to, act)
  else if (act.shown === 'erased') writeErased(to, act)
  else writeShown(to, act)
}

const opening = ({ subject, until = 'the statement was made' }: Statement): string =>
  [
    `This statement lists, in order, every act that is on record of this footage, from the moment it left the camera until the moment at which ${until}.`,
    ...(subject.type === 'clip' ? ['What concerns other clips of the recording alone is not listed.'] : []),
    'An act of which the reader may not be told has its line and its place in the log all the same. Refusals of one person that repeat within a minute are counted in one line; nothing else is grouped or left out.',
    'Where a name or a reason is not shown, the digest that seals it is. Times are those of the server.',
    'Searches of the catalogue, and small pictures in lists, are entries of the catalogue and are not listed here.',
  ].join(' ')

const begin = (statement: Statement): Paper => {
  const { subject, madeAt, madeFor, entry, holder } = statement
  const what = `${subject.type} ${subject.id}`
  const to = paper({
    title: `Continuity statement of ${what}`,
    footer: `Continuity statement, ${what}`,
    at: new Date(madeAt),
  })
  to.put('Continuity statement', { face: 'bold', size: 17 })
  to.put(`The chain of custody of ${what}`, { size: 11 })
  to.put(`Made by ${holder} on ${moment(madeAt)}, for ${madeFor}. Entry ${entry} records it.`, { before: 4 })
  to.put(opening(statement), { before: 8 })
  writeFacts(to, statement)
  writeLogs(to, statement)
  to.put('The acts', { face: 'bold', size: 11, before: 10 })
  return to
}

const close = (to: Paper, count: number, { checking }: Statement): void => {
  to.rule()
  to.put(`End of the list: ${count} ${count === 1 ? 'act' : 'acts'}.`, { face: 'bold' })
  to.keep(together)
  to.put('How to check this', { face: 'bold', size: 11, before: 10 })
  for (const paragraph of checking) to.put(paragraph, { indent: 12, before: 3 })
  to.put(
    'A sign that the fonts of this file do not have is given by its code point, as [U+0416]; the JSON holds it as it was written.',
    { indent: 12, before: 3 },
  )
}

async function* bytesOf(statement: Statement, batches: Acts): AsyncGenerator<Buffer> {
  const to = begin(statement)
  let count = 0
  for await (const acts of batches) {
    for (const act of acts) {
      count += 1
      writeAct(to, count, act)
      // Whoever prints a long story holds nobody else up.
      if (count % 10 === 0) await turn()
    }
    const bytes = to.take()
    if (bytes !== null) yield bytes
  }
  close(to, count, statement)
  to.end()
  for await (const bytes of to.rest) yield bytes
}

/**
 * The statement to print, page by page as its acts are read. The same statement and acts give the same bytes: no clock is
 * asked. A reader that goes away ends the reading of acts.
 */
export const statementPdf = (statement: Statement, acts: Acts): Readable =>
  Readable.from(bytesOf(statement, acts), { objectMode: false })

/** The same, whole, of acts that are at hand. */
export const wholeStatementPdf = async (statement: Statement, acts: readonly Act[]): Promise<Buffer> =>
  await buffer(statementPdf(statement, [acts]))
