import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SetupError } from './setup-error.ts'

/** Whether a process listens behind this socket file, or it is what a killed one left. */
const answers = async (path: string): Promise<boolean> => {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/**
 * Keeps a data folder to one supervisor. The lock is a listening socket, which the kernel frees however its process ends:
 * on Linux in the abstract space, elsewhere a file. Throws a SetupError when another process holds it.
 */
export const lockDataFolder = async (path: string): Promise<{ release(): Promise<void> }> => {
  const name = `exhibit-${createHash('sha256').update(path).digest('hex').slice(0, 32)}`
  const abstract = process.platform === 'linux'
  const address = abstract ? `\0${name}` : join(tmpdir(), `${name}.sock`)
  const holder = join(path, 'run', 'supervisor.pid')
  if (!abstract && !(await answers(address))) rmSync(address, { force: true })
  const server = createServer((socket) => socket.destroy())
  try {
    server.listen(address)
    await once(server, 'listening')
  } catch (cause) {
    throw new SetupError(
      `Exhibit is already running in ${path} (${pidOf(holder)}): stop it first, or name another folder.`,
      cause,
    )
  }
  server.unref()
  writeFileSync(holder, String(process.pid))
  return {
    release: async () => {
      rmSync(holder, { force: true })
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const pidOf = (holder: string): string => {
  try {
    return `process ${readFileSync(holder, 'utf8')}`
  } catch {
    return 'another process'
  }
}
