import { chmod, chown, link, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ConfigError } from './config.ts'
import { makeKeyFile, type ReceiptKey, readKeyFile } from './receipt-key.ts'

/** Beside a key's own file: the one that takes its place, until it has. */
export const nextFileOf = (file: string): string => `${file}.next`

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

/** The key in a file; undefined where there is no such file. Throws ConfigError where it holds no key. */
export const keyIn = async (path: string): Promise<ReceiptKey | undefined> => {
  try {
    await stat(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  return await readKeyFile(path).catch(() => {
    throw new ConfigError(`${path} cannot be read as a private Ed25519 JWK.`)
  })
}

/**
 * The private key of the given public half, out of the file or, where a rotation is under way or was cut short, the file
 * beside it that takes its place. Throws ConfigError, in words, when neither holds it.
 */
export const readKeyOf = async (file: string, x: string): Promise<ReceiptKey> => {
  // Once more at the end: a rotation may have moved the next one into its place between the two.
  for (const path of [file, nextFileOf(file), file]) {
    const key = await readKeyFile(path).catch(() => undefined)
    if (key?.publicJwk.x === x) return key
  }
  throw new ConfigError(
    `${file} does not hold the key that is in force. Was it rotated? Give this machine the new file.`,
  )
}

/** After this the names in a folder are as they are now, whatever happens to the power. */
const keepNames = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

/** For the service's eyes alone, whose user may be another than who makes the key. */
const giveToOwnerOf = async (file: string, made: string): Promise<void> => {
  await chmod(made, 0o600)
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(file).catch(async () => await stat(dirname(file)))
  await chown(made, uid, gid)
}

/** The key that will take the place of the file's: the one that waits for that already, else a new one. Absent or whole. */
export const nextKeyFor = async (file: string): Promise<ReceiptKey> => {
  const next = nextFileOf(file)
  const waiting = await keyIn(next)
  if (waiting !== undefined) {
    await giveToOwnerOf(file, next)
    return waiting
  }
  const aside = `${next}.new`
  await rm(aside, { force: true })
  const made = await makeKeyFile(aside)
  await giveToOwnerOf(file, aside)
  await rename(aside, next)
  await keepNames(dirname(file))
  return made
}

/**
 * Moves the next key, whose public half is given, into the place of the file. What was there is destroyed, or kept beside it
 * under the name of its key; answers that file's name, if so. Does nothing where it was done.
 */
export const putNextInPlace = async (file: string, x: string, keepOld: boolean): Promise<string | undefined> => {
  const next = nextFileOf(file)
  const old = await keyIn(file)
  if (old?.publicJwk.x === x) {
    if ((await keyIn(next))?.publicJwk.x === x) await rm(next)
    return undefined
  }
  const kept = keepOld && old !== undefined ? `${file}.${old.kid}` : undefined
  if (kept !== undefined)
    await link(file, kept).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
  await rename(next, file)
  await keepNames(dirname(file))
  return kept
}
