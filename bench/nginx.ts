import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { tethered } from '../src/engines/embedded/programs.ts'

/** A static file server as its packagers set it up, with sendfile, on loopback. */
export type FileServer = AsyncDisposable & { url: string }

const configuration = (folder: string, root: string, port: number): string => `
worker_processes auto;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server { listen 127.0.0.1:${port}; root ${root}; }
}`

const run = promisify(execFile)

/** Makes the kernel forget what it holds of the files under `root`: the next one to read them waits for the disk. */
export const forgetFiles = async (root: string): Promise<void> => {
  await run('sync', ['--file-system', root])
  const forget = ['dd', 'if={}', 'iflag=nocache', 'count=0', 'status=none']
  await run('find', [root, '-type', 'f', '-exec', ...forget, ';'])
}

const untilListening = async (url: string, child: ChildProcess): Promise<void> => {
  for (const limit = Date.now() + 10_000; ; await delay(50)) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    )
    if (answers) return
    if (child.exitCode !== null || Date.now() > limit) throw new Error('nginx did not start')
  }
}

/** Serves the files under `root`. */
export const startNginx = async (place: string, root: string, port: number): Promise<FileServer> => {
  const folder = join(place, 'nginx')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, configuration(folder, root, port))
  const program = '/usr/sbin/nginx'
  const words = [program, '-p', folder, '-c', file, '-g', 'daemon off;']
  const [command = program, ...args] = tethered('SIGTERM', words)
  const child = spawn(command, args, { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  await untilListening(url, child)
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGQUIT')
      await ended
    },
  }
}
