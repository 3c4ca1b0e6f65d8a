import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { startCommand } from './command-line.ts'
import { eventually } from './system.ts'
import { ask, witnessName } from './witnessing.ts'

const FirstLine = Type.Object({ url: Type.String(), vkey: Type.String() })

/** The command alone, which is there sooner than all of `exhibit`. */
const program = fileURLToPath(new URL('./witness-main.ts', import.meta.url))

/** `exhibit witness` in a process of its own, on any free port of loopback. */
export const spawnWitness = async ({
  data,
  logs,
  name = witnessName,
}: {
  data: string
  logs: string[]
  name?: string
}) => {
  const keys = logs.flatMap((vkey) => ['--log', vkey])
  const args = ['--data', data, '--name', name, '--listen', '127.0.0.1:0', '--json', ...keys]
  const command = startCommand(args, {}, program)
  const { url, vkey } = await eventually('the first line of the witness', async () => {
    if (command.child.exitCode !== null) throw new Error(`the witness ended: ${command.err()}`)
    const [line, ...more] = command.out().split('\n')
    return line === undefined || more.length === 0 ? undefined : Value.Parse(FirstLine, JSON.parse(line))
  })
  const kill = async () => {
    command.child.kill('SIGKILL')
    await command.ended
  }
  return {
    url,
    vkey,
    out: command.out,
    /** What it logged. */
    said: command.err,
    add: async (body: string) => await ask(url, '/add-checkpoint', body),
    newest: async (hash: string) => await ask(url, `/${hash}/checkpoint`),
    kill,
    killIn: async (ms: number) => {
      await delay(ms)
      await kill()
    },
    /** SIGTERM. Answers its exit code. */
    stop: async () => {
      command.child.kill('SIGTERM')
      return await command.ended
    },
    [Symbol.asyncDispose]: kill,
  }
}
