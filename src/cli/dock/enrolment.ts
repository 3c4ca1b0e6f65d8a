import { open, readFile, rename, rm } from 'node:fs/promises'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { IdOf } from '../../base/ids.ts'
import { PublicKey } from '../../custody/verify-receipt.ts'
import { Failure } from '../failure.ts'

const PrivateKey = Type.Object({
  kty: Type.Literal('OKP'),
  crv: Type.Literal('Ed25519'),
  x: Type.String(),
  d: Type.String(),
})

/** A key pair that was made and is not registered yet. */
const Pending = Type.Object({ url: Type.String(), privateKey: PrivateKey })

/** All that a dock needs: who it is, where, its private key, and the keys whose receipts it believes. */
const Enrolment = Type.Object({
  dock: IdOf.dock,
  url: Type.String(),
  privateKey: PrivateKey,
  installationKeys: Type.Array(PublicKey, { minItems: 1 }),
})
export type Pending = Static<typeof Pending>
export type Enrolment = Static<typeof Enrolment>

const parsed = async (path: string): Promise<unknown> => {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Throws Failure when the file is not the complete one of an enrolled dock. */
export const readEnrolment = async (path: string): Promise<Enrolment> => {
  const document = await parsed(path)
  if (Value.Check(Enrolment, document)) return document
  if (Value.Check(Pending, document)) {
    throw new Failure(`${path} holds a key pair that is not registered yet: run exhibit dock enrol with it again.`)
  }
  throw new Failure(`${path} is not the key file of an enrolled dock: make one with exhibit dock enrol.`)
}

/** What stands at the path before an enrolment: nothing, a pending key pair, or a dock. Throws Failure for anything else. */
export const readBefore = async (path: string): Promise<Pending | Enrolment | undefined> => {
  let document: unknown
  try {
    document = await parsed(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  if (Value.Check(Enrolment, document) || Value.Check(Pending, document)) return document
  throw new Failure(`${path} is there and is not a dock's key file: it is left as it is; name another file.`)
}

/** Writes the file, for its owner only; whoever reads sees the old one or the whole new one. */
export const writeEnrolment = async (path: string, content: Pending | Enrolment): Promise<void> => {
  const next = `${path}.new`
  await rm(next, { force: true })
  const handle = await open(next, 'wx', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(next, path)
}
