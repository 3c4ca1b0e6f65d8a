import { spawn, execSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, createWriteStream } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { startDocking } from '../docking.ts'
it('measure', async () => {
  await using d = await startDocking()
  await d.next(); await d.enrol()
  for (let i = 0; i < 4; i++) execSync(`openssl rand -out ${path.join(d.folder, `f${i}.mp4`)} 160000000 && touch -d '1 hour ago' ${path.join(d.folder, `f${i}.mp4`)}`)
  const main = path.resolve('src/cli/main.ts')
  // script gives a terminal
  const cmd = `${process.execPath} ${main} dock upload ${d.folder} --key ${d.keyFile} --camera X --wipe`
  const child = spawn('script', ['-qec', cmd, '/tmp/tty.log'], { stdio: ['ignore', 'ignore', 'ignore'], env: { ...process.env, COLUMNS: '100' } })
  let hwm = ''
  const t = setInterval(() => { try { const pids = execSync(`pgrep -P ${child.pid} || true`).toString().trim().split('\n'); for (const p of pids) { const kids = execSync(`pgrep -P ${p} || true`).toString().trim().split('\n').filter(Boolean); for (const k of [p, ...kids]) { const s = readFileSync(`/proc/${k}/status`, 'utf8'); if (/Name:\s+(node|MainThread)/.test(s)) hwm = /VmHWM:.*/.exec(s)?.[0] ?? hwm } } } catch {} }, 200)
  const [code] = await once(child, 'close'); clearInterval(t)
  console.log('exit', code, hwm)
  // SIGINT
  await d.next(); await d.enrol()
  execSync(`openssl rand -out ${path.join(d.folder, 'g.mp4')} 40000000`)
  const c2 = spawn(process.execPath, [main, 'dock', 'upload', d.folder, '--key', d.keyFile, '--camera', 'Y', '--limit-rate', '2M', '--chunk', '1'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let o = ''; c2.stdout.on('data', (x) => (o += x)); c2.stderr.on('data', (x) => (o += x))
  setTimeout(() => c2.kill('SIGINT'), 6000)
  console.log('sigint', await once(c2, 'close'), o)
}, 300000)
