import { inBytes, printable } from './words.ts'

/** A piece of work that is told of: `label` stands before its bar. Bytes, unless `unit` names what is counted. */
export type Bar = { label: string; done: number; total: number; unit?: string }

export type Progress = {
  /** Makes or moves a bar. The bar with the key `total` stays below the others. */
  set(key: string, bar: Bar): void
  remove(key: string): void
  /** A line that stays. */
  say(line: string): void
  close(): void
}

/** What is needed of a stream: `process.stderr` has it. */
type Screen = { write(text: string): unknown; isTTY?: boolean; columns?: number; rows?: number }

const redrawMs = 100
const plainEveryMs = 10_000

const amount = (number: number, unit?: string): string => (unit === undefined ? inBytes(number) : `${number} ${unit}`)

/** One line of at most `columns` characters. */
export const drawBar = ({ label, done, total, unit }: Bar, columns: number): string => {
  const part = total === 0 ? 1 : Math.min(1, done / total)
  const figures = `${String(Math.floor(part * 100)).padStart(3)} %  ${unit === undefined ? inBytes(done) : done} of ${amount(total, unit)}`
  const width = Math.max(5, Math.min(30, columns - 60))
  const filled = Math.round(part * width)
  const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`
  const room = Math.max(8, Math.min(36, columns - width - 34))
  const characters = [...printable(label)]
  const name = characters.length > room ? `…${characters.slice(1 - room).join('')}` : characters.join('').padEnd(room)
  return [...`${name} ${bar} ${figures}`].slice(0, columns).join('')
}

/** Bars that are drawn anew in place. */
const onTerminal = (screen: Screen): Progress => {
  const bars = new Map<string, Bar>()
  let drawn = 0
  let timer: NodeJS.Timeout | undefined

  const erase = (): string => `${drawn > 0 ? `\u001b[${drawn}A` : ''}\r\u001b[0J`
  // Lines that the terminal breaks would be more lines than are erased: wide characters cannot be counted on.
  const unbroken = (text: string): string => (text === '' ? '' : `\u001b[?7l${text}\u001b[?7h`)
  const draw = (above = ''): void => {
    clearTimeout(timer)
    timer = undefined
    const total = bars.get('total')
    const others = [...bars].flatMap(([key, bar]) => (key === 'total' ? [] : [bar]))
    const shown = [...others.slice(0, Math.max(1, (screen.rows || 24) - 3)), ...(total === undefined ? [] : [total])]
    const lines = shown.map((bar) => `${drawBar(bar, (screen.columns || 80) - 1)}\n`)
    screen.write(`${erase()}${above}${unbroken(lines.join(''))}`)
    drawn = lines.length
  }
  const drawSoon = (): void => {
    timer ??= setTimeout(draw, redrawMs)
  }

  return {
    set: (key, bar) => {
      bars.set(key, bar)
      drawSoon()
    },
    remove: (key) => {
      if (bars.delete(key)) drawSoon()
    },
    say: (line) => draw(`${line}\n`),
    close: () => {
      bars.clear()
      draw()
    },
  }
}

/** Lines for a log: of each bar when it begins, now and then, and of the total with it. */
const onPaper = (screen: Screen, now: () => number): Progress => {
  const told = new Map<string, number>()
  return {
    set: (key, bar) => {
      const last = told.get(key)
      if (last !== undefined && now() - last < plainEveryMs) return
      told.set(key, now())
      if (key === 'total' && last === undefined) return
      const percent = bar.total === 0 ? 100 : Math.floor((bar.done / bar.total) * 100)
      screen.write(`${printable(bar.label)}: ${percent} % of ${amount(bar.total, bar.unit)}\n`)
    },
    remove: (key) => {
      told.delete(key)
    },
    say: (line) => {
      screen.write(`${line}\n`)
    },
    close: () => told.clear(),
  }
}

/** Progress for a person: bars on a terminal, otherwise plain lines. */
export const showProgress = (screen: Screen = process.stderr, now: () => number = Date.now): Progress =>
  screen.isTTY === true ? onTerminal(screen) : onPaper(screen, now)

export const silentProgress: Progress = { set: () => {}, remove: () => {}, say: () => {}, close: () => {} }
