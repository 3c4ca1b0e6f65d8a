import { expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/engines/config.ts'
import { parseWitnesses } from '../../src/engines/witness-list.ts'
import { makeNoteKey } from '../small-log.ts'

const one = makeNoteKey('witness.example/one', 4)
const two = makeNoteKey('witness.example/two', 4)
const needed = {
  DATABASE_URL: 'postgres://exhibit_app@db/exhibit',
  REDIS_URL: 'redis://redis',
  S3_ENDPOINT: 'https://s3.example',
  S3_ACCESS_KEY: 'key',
  S3_SECRET_KEY: 'secret',
  OIDC_ISSUER: 'https://id.example',
  RECEIPT_KEY_FILE: '/keys/receipt.json',
  LOG_KEY_FILE: '/keys/log.json',
}
const read = (text: string) => readConfig({ ...needed, LEDGER_WITNESSES: text }).LEDGER_WITNESSES

test('witnesses are configured by key and address, separated by commas; there need be none', () => {
  expect(read('')).toEqual([])
  expect(readConfig(needed).LEDGER_WITNESSES).toEqual([])
  const listed = `${one.vkey} https://one.example/witness/,\n  ${two.vkey}  http://127.0.0.1:8090 ,`
  expect(read(listed)).toEqual([
    { vkey: one.vkey, key: one.key, url: 'https://one.example/witness' },
    { vkey: two.vkey, key: two.key, url: 'http://127.0.0.1:8090' },
  ])
})

test('the same witness at two addresses is one too many, and two names of one place are not', () => {
  expect(parseWitnesses(`${one.vkey} http://a.example, ${one.vkey} http://b.example`)).toBeNull()
  expect(parseWitnesses(`${one.vkey} http://a.example, ${two.vkey} http://a.example`)).toHaveLength(2)
})

test('what is no witness is refused by the name of the variable, and without what was given', () => {
  const wrong = [
    one.vkey,
    'https://one.example',
    `https://one.example ${one.vkey}`,
    `${one.vkey} one.example`,
    `${one.vkey} ftp://one.example`,
    `${one.vkey} https://user:secret@one.example`,
    `${one.vkey} https://one.example/?a=b`,
    `${one.vkey} https://one.example/#a`,
    `${one.vkey} https://one.example more`,
    `${one.vkey}x https://one.example`,
    `${one.vkey.replace('one', 'two')} https://one.example`,
    // A key that signs notes is none of cosignatures.
    `${makeNoteKey('witness.example/one', 1).vkey} https://one.example`,
    `${one.vkey} https://one.example; ${two.vkey} https://two.example`,
  ]
  for (const text of wrong) {
    let refusal: unknown
    try {
      read(text)
    } catch (error) {
      refusal = error
    }
    expect(refusal, text).toBeInstanceOf(ConfigError)
    expect(String(refusal)).toMatch(/LEDGER_WITNESSES is not a list of/)
    expect(String(refusal)).not.toContain('one.example')
  }
})
