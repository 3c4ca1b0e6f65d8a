import type { Progress } from '../progress.ts'
import { counted, inBytes, printable } from '../words.ts'
import type { DockEvent, Outcome, Summary } from './outcome.ts'

const marks: Record<Outcome['state'], string> = {
  held: '✓',
  wiped: '✓',
  sent: '✓',
  verifying: '…',
  unfinished: '…',
  quarantined: '✗',
  erased: '✗',
  unverified: '✗',
  failed: '✗',
}

const outcomeLine = ({ state, name, size, detail }: Outcome): string =>
  `${marks[state]} ${printable(name)} (${inBytes(size)}): ${printable(detail)}`

/** Tells a person of a dock's work: a bar for each file that is read or sent, one for all that is owed, and lines. */
export const reporter = (progress: Progress): ((event: DockEvent) => void) => {
  const owed = new Map<string, { size: number; done: number }>()

  const showTotal = (): void => {
    if (owed.size === 0) return
    let done = 0
    let total = 0
    for (const each of owed.values()) {
      done += each.done
      total += each.size
    }
    progress.set('total', { label: `total of ${counted(owed.size, 'file')}`, done, total })
  }
  const bar = (verb: string, event: { name: string; done: number; size: number }): void => {
    const key = `${verb} ${event.name}`
    if (event.done >= event.size) progress.remove(key)
    else progress.set(key, { label: `${verb} ${event.name}`, done: event.done, total: event.size })
  }
  const announced = (files: { name: string; size: number; state: string }[]): void => {
    if (files.length === 0) return
    const sending = files.filter(({ state }) => state === 'owed' || state === 'uploading')
    for (const { name, size } of sending) owed.set(name, { size, done: 0 })
    const states = [...Map.groupBy(files, ({ state }) => state)].map(
      ([state, all]) => `${all.length} ${printable(state)}`,
    )
    progress.say(`announced ${counted(files.length, 'file')}: ${states.join(', ')}`)
    showTotal()
  }

  return (event) => {
    switch (event.type) {
      case 'hashing':
        bar('reading', event)
        break
      case 'announced':
        announced(event.files)
        break
      case 'sending':
        bar('sending', event)
        owed.set(event.name, { size: event.size, done: event.done })
        showTotal()
        break
      case 'retrying': {
        const what = event.name === undefined ? '' : `${printable(event.name)}: `
        progress.say(`${what}${printable(event.because)} Trying again in ${event.inSeconds.toFixed(1)} s.`)
        break
      }
      case 'waiting':
        break
      case 'note':
        progress.say(printable(event.text))
        break
      case 'outcome': {
        const { outcome } = event
        for (const verb of ['reading', 'sending']) progress.remove(`${verb} ${outcome.name}`)
        progress.say(outcomeLine(outcome))
        break
      }
    }
  }
}

const words: [Outcome['state'], string][] = [
  ['held', 'in custody'],
  ['wiped', 'in custody and wiped here'],
  ['sent', 'sent'],
  ['verifying', 'being verified'],
  ['quarantined', 'in quarantine'],
  ['erased', 'erased there'],
  ['unverified', 'without a receipt to believe'],
  ['failed', 'failed'],
  ['unfinished', 'unfinished'],
]

/** One line for the end. */
export const summaryLine = ({ files, bytesSent, seconds }: Summary): string => {
  if (files.length === 0) return 'There is no file in this folder.'
  const parts = words.flatMap(([state, said]) => {
    const count = files.filter((file) => file.state === state).length
    return count === 0 ? [] : [`${count} ${said}`]
  })
  return `${counted(files.length, 'file')}: ${parts.join(', ')}. ${inBytes(bytesSent)} sent in ${seconds.toFixed(1)} s.`
}
