import { describe, expect, it } from 'vitest'
import { drawBar, showProgress } from '../../src/cli/progress.ts'
import { inBytes, printable } from '../../src/cli/words.ts'

describe('progress', () => {
  it('fits on one line however long a name is', () => {
    for (const columns of [20, 79, 200]) {
      const line = drawBar({ label: 'x'.repeat(300), done: 1, total: 3 }, columns)
      expect([...line].length).toBeLessThanOrEqual(columns)
    }
    expect(drawBar({ label: 'empty', done: 0, total: 0 }, 79)).toContain('100 %')
    expect(drawBar({ label: 'half', done: 512_000, total: 1_024_000 }, 79)).toContain('50 %  512.0 kB of 1.0 MB')
    expect(drawBar({ label: 'log', done: 5, total: 10, unit: 'leaves' }, 79)).toContain('50 %  5 of 10 leaves')
  })

  it('never lets a file name steer the terminal', () => {
    expect(printable('a\u001b[2J\u202Eb\n')).toBe('a?[2J?b?')
    expect(drawBar({ label: '\u001b[31m', done: 0, total: 1 }, 79)).not.toContain('\u001b')
  })

  it('tells lines when there is no terminal, and does not repeat itself', () => {
    let now = 0
    const written: string[] = []
    const progress = showProgress({ write: (text) => written.push(text) }, () => now)
    const bar = (done: number) => progress.set('a', { label: 'sending a.mp4', done, total: 1000 })
    bar(0)
    bar(100)
    now = 11_000
    bar(500)
    progress.say('done')
    expect(written).toEqual(['sending a.mp4: 0 % of 1.0 kB\n', 'sending a.mp4: 50 % of 1.0 kB\n', 'done\n'])
  })

  it('draws bars in place on a terminal, the total last, and leaves the lines that were said', () => {
    let written = ''
    const screen = { isTTY: true, columns: 80, rows: 24, write: (text: string) => (written += text) }
    const progress = showProgress(screen)
    progress.set('total', { label: 'total', done: 1, total: 2 })
    progress.set('a', { label: 'a.mp4', done: 1, total: 2 })
    progress.say('hello')
    expect(written.replaceAll('\u001b', '^')).toMatch(/^\r\^\[0Jhello\n\^\[\?7la\.mp4 .*\ntotal .*\n\^\[\?7h$/)
    written = ''
    progress.close()
    expect(written).toBe('\u001b[2A\r\u001b[0J')
  })

  it('gives sizes in words', () => {
    expect([0, 999, 1000, 999_950, 12_345_678, 5e12].map(inBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.0 MB',
      '12.3 MB',
      '5.0 TB',
    ])
  })
})
