import { spawn, execSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { it } from 'vitest'
import { startDocking } from '../docking.ts'
it('measure', async () => {
  await using d = await startDocking()
  await d.next(); await d.enrol()
  for (let i = 0; i < 4; i++) execSync(`openssl rand -out ${path.join(d.folder, `f${i}.mp4`)} 160000000 && touch -d '1 hour ago' ${path.join(d.folder, `f${i}.mp4`)}`)
  const main = path.resolve('src/cli/main.ts')
  const child = spawn(process.execPath, [main, 'dock', 'upload', d.folder, '--key', d.keyFile, '--camera', 'X', '--no-wait'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let o = ''; child.stdout.on('data', (x) => (o += x)); child.stderr.on('data', (x) => (o += x))
  let hwm = ''
  const t = setInterval(() => { try { hwm = /VmHWM:.*/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[0] ?? hwm } catch {} }, 200)
  const [code] = await once(child, 'close'); clearInterval(t)
  console.log('exit', code, hwm, o)
}, 300000)
