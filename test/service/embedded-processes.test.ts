import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openDataFolder } from '../../src/engines/embedded/data-folder.ts'
import { takeOverOrLaunch } from '../../src/engines/embedded/processes.ts'
import { needProgram } from '../../src/engines/embedded/programs.ts'

const place = mkdtempSync(join(tmpdir(), 'embedded-processes-'))
const folder = openDataFolder(join(place, 'data'))
afterAll(() => rmSync(place, { recursive: true, force: true }))

test.runIf(process.platform === 'linux')(
  'a program that is just being loaded is not taken for one that ended',
  async () => {
    // It replaces itself a hundred times, and has no command line at each of them.
    const env = needProgram(['env'], 'coreutils')
    const marker = `86400.${process.pid}`
    const running = await takeOverOrLaunch({
      dataDir: folder.path,
      name: 'sleeper',
      command: env,
      args: [...Array.from({ length: 100 }, () => env), needProgram(['sleep'], 'coreutils'), marker],
      marker,
      cwd: folder.path,
      stopSignal: 'SIGTERM',
      stopSeconds: 5,
    })
    try {
      const until = Date.now() + 500
      let looks = 0
      for (; Date.now() < until; looks++) expect(running.ended(), `look ${looks}`).toBe(false)
      expect(looks).toBeGreaterThan(500)
    } finally {
      await running.stop()
    }
    expect(running.ended()).toBe(true)
  },
)
