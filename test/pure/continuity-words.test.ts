import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/base/canonical.ts'
import { actionsWithWords, wordsOf } from '../../src/continuity/words.ts'
import { mayAnyone, type Permission, permissions } from '../../src/people/permissions.ts'

const project = path.resolve(import.meta.dirname, '../..')
const isPermission = (name: string): name is Permission => name in permissions

describe('the words of acts', () => {
  const sources = globSync('{src,workers}/**/*.ts', { cwd: project })
    .filter((file) => !file.startsWith('src/continuity/'))
    .map((file) => readFileSync(path.join(project, file), 'utf8'))
    .join('\n')
  const nouns = new Set(Object.keys(permissions).map((name) => name.split('.')[0]))
  for (const noun of ['entry', 'key', 'log', 'manifest', 'rendition']) nouns.add(noun)
  /** Verbs, as against names of files. */
  const isAct = ([noun, verb]: string[]): boolean =>
    nouns.has(noun) && !['json', 'jws', 'png', 'jpg', 'mp4', 'pdf', 'ts', 'js', 'html', 'example'].includes(verb ?? '')
  const named = [...sources.matchAll(/'([a-z]+\.[a-z]+(?:-[a-z]+)*)'/g)].map(([, name = '']) => name)
  const written = [...sources.matchAll(/action: '([^'.]+\.[^']+)'/g)].map(([, name = '']) => name)
  const found = new Set([...written, ...named.filter((name) => isAct(name.split('.')))])

  test('there are words for every act that the sources know, and for every refusal', () => {
    expect(found.size).toBeGreaterThan(120)
    expect(found).toContain('upload.lost-by-store')
    expect(found).toContain('recording.mismatch-found')
    const known = new Set(actionsWithWords)
    const told = [...found].filter((name) => !isPermission(name) || !mayAnyone(name))
    expect(told.filter((name) => !known.has(name)).sort()).toEqual([])
    const refusable = Object.keys(permissions).filter((name) => isPermission(name) && !mayAnyone(name))
    expect(refusable.filter((name) => !known.has(name))).toEqual([])
  })

  test('nothing is said of acts that there are not', () => {
    const made = new Set(['clip.cut', 'clip.failed', 'bundle.made', 'bundle.failed'])
    expect([...new Set(actionsWithWords)].filter((name) => !found.has(name) && !made.has(name))).toEqual([])
  })

  test('each is a whole sentence, be the detail sealed or not, and whatever came of it', () => {
    for (const action of new Set(actionsWithWords)) {
      for (const outcome of ['allowed', 'denied', 'failed']) {
        for (const detail of [undefined, {}, { flags: [], watched: [], because: null, objects: 'many' }]) {
          const words = wordsOf({ action, outcome, subject: 'X' }, detail)
          expect(words, `${action} ${outcome}`).toMatch(/^[A-Z(].*\.$/)
          expect(words).not.toMatch(/undefined|null|\[object|recorded as/)
        }
      }
    }
  })

  test('a refusal says what was asked for, and how often', () => {
    const refused = { action: 'recording.viewing', outcome: 'denied', subject: 'X' }
    expect(wordsOf(refused, undefined)).toBe('Somebody asked to watch the recording, and was refused.')
    expect(wordsOf(refused, { repeats: 3 })).toContain('again within a minute, 3 more times, and was refused.')
    expect(wordsOf({ ...refused, action: 'clip.request' }, undefined)).toBe(
      'Somebody asked for a clip of the recording, and was refused.',
    )
  })

  test('an act of a kind that nobody thought of is told by its name', () => {
    expect(wordsOf({ action: 'moon.landed', outcome: 'allowed', subject: 'X' }, undefined)).toBe(
      'What is recorded as moon.landed was done.',
    )
  })

  test('what was watched, flagged, hidden and erased is said where it may be', () => {
    const say = (action: string, detail: Json) => wordsOf({ action, outcome: 'allowed', subject: 'X' }, detail)
    expect(say('recording.viewing-ended', { watched: [[0, 42.5]] })).toContain('Watched was: 0 s to 42.5 s.')
    expect(say('recording.viewing-ended', { watched: [] })).toContain('Nothing of it')
    expect(say('recording.examined', { flags: ['clock_drift'] })).toContain('flagged: clock drift.')
    expect(say('recording.hidden', { until: '2027-01-01T00:00:00Z', because: 'Due.' })).toContain('2027-01-01. Due.')
    expect(say('recording.erased', { objects: 1 })).toContain('1 object in the store')
    expect(say('entry.part-erased', { part: 'purpose' })).toContain('The reason was erased from entry X.')
    expect(say('recording.disclosed', { original: false })).toContain('a clip of the recording')
  })
})
