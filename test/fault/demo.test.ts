import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { longTest } from '../long.ts'

const exhibit = path.join(import.meta.dirname, '../../src/cli/main.ts')

const demo = async (...args: string[]): Promise<{ code: number | null; said: string }> =>
  await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [exhibit, 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        said += String(chunk)
      })
    }
    child.on('error', reject).on('close', (code) => resolve({ code, said }))
  })

test('the demo takes a shift into custody across a broken connection and fetches footage back equal to the byte', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'exhibit-still-'))
  const still = path.join(folder, 'player.png')
  const { code, said } = await demo('--exit', '--still', still)
  expect(code, said).toBe(0)
  const png = await readFile(still)
  expect(png.subarray(1, 4).toString()).toBe('PNG')
  // As wide as the browser's window.
  expect(png.readUInt32BE(16)).toBe(1280)
  await rm(folder, { recursive: true })
  expect(said).toContain('the demo cut the connection')
  expect(said).toMatch(/goes on at [1-9][\d.]* MB of/)
  expect(said.match(/receipt verified, .* read back at/g)).toHaveLength(5)
  expect(said).toMatch(/BWC_0108\.MP4 quarantined/)
  for (const flag of ['silent_start', 'truncated', 'sequence_gap']) expect(said).toContain(flag)
  expect(said).toContain('Everything held.')
})

longTest("the demo takes the reader's own files, whatever they are, and leaves their folder as it was", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'exhibit-own-'))
  try {
    for (const name of ['one.mp4', 'two.txt']) await writeFile(path.join(folder, name), `this is ${name}`)
    const { code, said } = await demo(folder, '--exit')
    expect(code, said).toBe(0)
    expect(said).toContain('two.txt: active, unplayable')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
