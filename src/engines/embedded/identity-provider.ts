import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Type } from 'typebox'
import Value from 'typebox/value'
import { type EngineStart, keep, openDataFolder, readKept } from './data-folder.ts'
import { addIdentityKey, identityKeys } from './identity-keys.ts'
import { choosePort } from './ports.ts'
import { keepUp, leftover, type Program, stopProgram } from './processes.ts'
import { SetupError } from './setup-error.ts'

export type EmbeddedIdentityProvider = {
  /** The `iss` of its tokens, and where `/.well-known/openid-configuration` is found. */
  issuer: string
  audience: string
  rolesClaim: string
  collarClaim: string
  /** Of the one public client, which must use PKCE and a loopback address to return to. */
  clientId: string
  port: number
  pid: number
  /**
   * New tokens are signed by a new key from now on; gives its kid. `forgetOlder` also stops publishing the older keys, so
   * that older tokens no longer verify.
   */
  rotateKeys(options?: { forgetOlder?: boolean }): Promise<string>
  stop(): Promise<void>
}

const Kept = Type.Object({ port: Type.Integer() })
const KeySet = Type.Object({ keys: Type.Array(Type.Object({ kid: Type.String() })) })

const publishedKeys = async (issuer: string): Promise<string[]> => {
  try {
    const response = await fetch(`${issuer}/jwks`, { signal: AbortSignal.timeout(2000) })
    const answer: unknown = await response.json()
    return Value.Check(KeySet, answer) ? answer.keys.map(({ kid }) => kid) : []
  } catch {
    return []
  }
}

/**
 * An OpenID provider on loopback with two people per role (`officer-1`, `officer-2`, …), which signs anyone in without a
 * password. Its port is part of its name to the outside, so one that is taken is refused rather than replaced.
 */
export const startIdentityProvider = async (options: EngineStart): Promise<EmbeddedIdentityProvider> => {
  const { dataDir, port, log, endWithParent } = options
  const folder = openDataFolder(dataDir)
  const file = join(folder.settings, 'identity-provider.json')
  const before = readKept(file, Kept)
  const marker = `--identity-of=${folder.path}`
  const program: Program = {
    dataDir: folder.path,
    name: 'identity-provider',
    command: process.execPath,
    args: [join(import.meta.dirname, 'identity-provider-main.ts'), marker],
    marker,
    cwd: folder.path,
    stopSignal: 'SIGTERM',
    stopSeconds: 3,
    endWithParent,
  }
  const inUse = leftover(program) !== undefined
  const what = 'the identity provider'
  const chosen = await choosePort({ what, wanted: port, kept: before?.port, inUse, fixed: true })
  keep(file, { port: chosen })
  const { keys } = await identityKeys(folder)
  const issuer = `http://127.0.0.1:${chosen}`
  const current = async (kid: string | undefined) => (await publishedKeys(issuer))[0] === kid

  const running = await keepUp(
    { ...program, args: [...program.args, `--port=${chosen}`] },
    { ready: () => current(keys[0]?.kid), seconds: 30 },
  )
  log(running.adopted ? 'Identity provider: was still running' : `Identity provider: ready on port ${chosen}`)

  return {
    issuer,
    audience: 'exhibit',
    rolesClaim: 'roles',
    collarClaim: 'collar_number',
    clientId: 'exhibit',
    port: chosen,
    pid: running.pid,
    rotateKeys: async ({ forgetOlder = false } = {}) => {
      const kid = await addIdentityKey(folder, forgetOlder)
      if (!running.alive()) return kid
      process.kill(running.pid, 'SIGHUP')
      for (const limit = Date.now() + 5000; !(await current(kid)); await delay(20)) {
        if (Date.now() > limit)
          throw new SetupError('The identity provider did not take up its new key: start it again.')
      }
      return kid
    },
    stop: async () => await stopProgram(program),
  }
}
