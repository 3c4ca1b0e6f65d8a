import { generateKeyPairSync } from 'node:crypto'
import { Command } from 'commander'
import { Type } from 'typebox'
import { IdOf } from '../../base/ids.ts'
import { kidOf, type PublicKey, publicKeysIn } from '../../custody/verify-receipt.ts'
import { issueToken } from '../../engines/embedded/issue-token.ts'
import { Failure } from '../failure.ts'
import { whereaboutsOf } from '../up/whereabouts.ts'
import { type Enrolment, type Pending, readBefore, writeEnrolment } from './enrolment.ts'
import { type Http, makeHttp } from './http.ts'
import { jsonBody, reach, readAs, readUrl } from './installation.ts'
import { Refusal } from './refusal.ts'

type Wish = {
  name: string
  site: string
  /** Where the enrolment is kept. */
  keyFile: string
  /** The installation, such as `https://exhibit.example.org`. */
  url: string
  /** Of a person with the role `admin`. */
  token: string
}

const Keys = Type.Object({ keys: Type.Array(Type.Unknown(), { minItems: 1 }) })
const Registered = Type.Object({ id: IdOf.dock })

/** The receipt keys that an installation publishes now, retired ones included. */
export const publishedKeys = async (http: Http, base: string): Promise<PublicKey[]> => {
  const answer = await http.send({ method: 'GET', url: new URL(`${base}/api/v1/ledger/keys`), headers: {} })
  if (answer.status !== 200) throw new Refusal(answer)
  const keys = publicKeysIn(readAs(Keys, answer))
  return await Promise.all(
    keys.map(async (key) => {
      const { kty, crv, x, from, to } = key
      const dates = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
      return { kty, crv, x, kid: await kidOf(key), ...dates }
    }),
  )
}

const makePair = (url: string): Pending => {
  const { kty, crv, x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined || d === undefined)
    throw new Error('not an Ed25519 key pair')
  return { url, privateKey: { kty, crv, x, d } }
}

/**
 * Enrols a dock: makes its key pair here, registers the public half, and keeps the installation's receipt keys. The pair
 * is written before it is registered, so that a break in between loses nothing: the same call goes on with it. A dock
 * that is enrolled there already is answered as it is. Throws Failure, Refusal.
 */
export const enrolDock = async (wish: Wish): Promise<Enrolment & { before: boolean }> => {
  const url = readUrl(wish.url)
  const found = await readBefore(wish.keyFile)
  if (found !== undefined && found.url !== url) {
    throw new Failure(`${wish.keyFile} belongs to the installation ${found.url}: name another file.`)
  }
  if (found !== undefined && 'dock' in found) return { ...found, before: true }
  const http = makeHttp()
  try {
    const installationKeys = await publishedKeys(http, url)
    const pending = found ?? makePair(url)
    await writeEnrolment(wish.keyFile, pending)
    const { kty, crv, x } = pending.privateKey
    const admin = reach(http, url, { token: async () => wish.token })
    const answer = await admin.call({
      method: 'POST',
      to: '/docks',
      ...jsonBody({ name: wish.name, site: wish.site, publicKey: { kty, crv, x } }),
    })
    const enrolment = { dock: readAs(Registered, answer).id, ...pending, installationKeys }
    await writeEnrolment(wish.keyFile, enrolment)
    return { ...enrolment, before: false }
  } finally {
    http.close()
  }
}

const isOpenToEavesdroppers = (url: string): boolean =>
  /^http:/i.test(url) && !/^http:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:|\/|$)/i.test(url)

type Options = { name: string; site: string; key: string; url: string; token?: string; data?: string; json?: true }

const named = ({ url, token = process.env.EXHIBIT_TOKEN }: Options) => {
  if (!token) throw new Failure('A token of an admin is needed: give it in EXHIBIT_TOKEN or with --token.')
  return { url, token }
}

const embedded = async (dataDir: string) => {
  const { url, issuer } = whereaboutsOf(dataDir)
  return { url, token: await issueToken({ issuer, role: 'admin' }) }
}

export const enrolCommand = (): Command =>
  new Command('enrol')
    .description('Make the key pair of this dock and register its public half')
    .requiredOption('--name <name>', 'what people call the dock')
    .requiredOption('--site <site>', 'where it stands')
    .requiredOption('--key <file>', 'where the key pair is kept, for its owner only; never another file is overwritten')
    .option('--url <url>', 'the installation', process.env.EXHIBIT_URL ?? 'http://127.0.0.1:8080')
    .option(
      '--token <token>',
      'of an admin; better in the environment variable EXHIBIT_TOKEN, which other users cannot see',
    )
    .option('--data <folder>', 'data folder of an embedded stack, instead of --url and --token')
    .option('--json', 'answer as JSON')
    .action(async (options: Options) => {
      const { name, site, key, json } = options
      const { url, token } = options.data === undefined ? named(options) : await embedded(options.data)
      if (isOpenToEavesdroppers(url)) {
        console.error(`${url} is reached without TLS: anybody on the way can read the token and exchange the keys.`)
      }
      const { dock, before, installationKeys } = await enrolDock({ name, site, url, token, keyFile: key })
      const kids = installationKeys.map((each) => each.kid)
      if (json)
        return console.log(JSON.stringify({ dock, url: readUrl(url), keyFile: key, before, installationKeys: kids }))
      console.log(
        before
          ? `${key} is enrolled already, as the dock ${dock}.`
          : `The dock ${dock} is enrolled; its private key stays in ${key}.`,
      )
      console.log(`It believes receipts signed with: ${kids.join(', ')}`)
    })
