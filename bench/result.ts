import { readFileSync, writeFileSync } from 'node:fs'
import type { Spread } from './measure.ts'

/** Of the median, or (`never` above) of every round. */
type Target = { atLeast: number } | { atMost: number } | { never: number }

/** One comparison; `target` is the design's, if it names one. */
export type Result = {
  what: string
  against: string
  /** Round by round. */
  ratio: Spread
  target: Target | null
  /** The two figures behind the ratio, in words. */
  ours: string
  theirs: string
}

/** A row of the design's section 7 as it was measured. */
export type Row = { results: Result[]; how: string[] }

export const inWords = (spread: Spread, unit: string, digits = 0): string =>
  `${spread.median.toFixed(digits)} ${unit} (${spread.low.toFixed(digits)} to ${spread.high.toFixed(digits)})`

const targetWords = (target: Target | null): string => {
  if (target === null) return 'none'
  if ('never' in target) return `never above ${target.never}`
  return 'atLeast' in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`
}

const verdictOf = ({ target, ratio }: Result): string => {
  if (target === null) return ''
  if ('never' in target) return ratio.high <= target.never ? 'reached' : 'short'
  return ('atLeast' in target ? ratio.median >= target.atLeast : ratio.median <= target.atMost) ? 'reached' : 'short'
}

const ratioWords = ({ median, low, high, count }: Spread, strong = ''): string =>
  `${strong}${median.toFixed(2)}${strong} (${low.toFixed(2)} to ${high.toFixed(2)}, ${count} rounds)`

const lineOf = (result: Result): string =>
  `| ${[
    result.what,
    result.against,
    ratioWords(result.ratio, '**'),
    targetWords(result.target),
    verdictOf(result).replace('short', '**short**'),
    result.ours,
    result.theirs,
  ].join(' | ')} |`

const inMarkdown = (name: string, row: Row, machine: string): string =>
  [
    `## ${name}`,
    '',
    ...row.how.map((sentence) => `- ${sentence}`),
    '',
    '| what | against | ratio: median (lowest to highest) | target | | ours | the other |',
    '|---|---|---|---|---|---|---|',
    ...row.results.map(lineOf),
    '',
    `${machine}.`,
  ].join('\n')

const file = new URL('RESULTS.md', import.meta.url)

const opening = [
  '# Results',
  '',
  'Written by `npm run bench` (`npm run bench -- <row>` renews one). Every figure is a ratio of two things measured in turn',
  'in one run on one machine; ratios are taken round by round. MiB and GiB are 2^20 and 2^30 bytes.',
].join('\n')

const sectionsNow = (): Map<string, string> => {
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
  } catch {}
  const sections = text.split(/^(?=## )/m).filter((section) => section.startsWith('## '))
  return new Map(sections.map((section) => [/^## (.*)$/m.exec(section)?.[1] ?? '', section.trim()]))
}

/** Puts a row's results in place of its earlier ones; the other rows stay as they are. */
export const writeRow = (name: string, order: readonly string[], row: Row, machine: string): void => {
  const sections = sectionsNow().set(name, inMarkdown(name, row, machine))
  const kept = order.flatMap((each) => sections.get(each) ?? [])
  writeFileSync(file, `${[opening, ...kept].join('\n\n')}\n`)
}

/** The same for the terminal. */
export const sayRow = ({ results }: Row): string =>
  results
    .flatMap((result) => [
      `  ${result.what}, against ${result.against}`,
      `    ${ratioWords(result.ratio)}; target ${targetWords(result.target)} ${verdictOf(result)}`,
      `    ours ${result.ours}; the other ${result.theirs}`,
    ])
    .join('\n')
