import { Command } from 'commander'
import { kidOf } from '../../custody/verify-receipt.ts'
import { Failure } from '../failure.ts'
import { publishedKeys } from './enrol.ts'
import { readEnrolment, writeEnrolment } from './enrolment.ts'
import { makeHttp } from './http.ts'

type Options = { key: string; accept?: string; json?: true }

/**
 * A dock believes the receipt keys it got at its enrolment. When the installation's key is rotated a person accepts the
 * new one, by its name: a server that could make docks believe any key could make them wipe anything.
 */
export const keysCommand = (): Command =>
  new Command('keys')
    .description("Show the installation's receipt keys, and accept a new one after a rotation")
    .requiredOption('--key <file>', "the dock's key file")
    .option(
      '--accept <kid>',
      'believe receipts signed with this key from now on; have its name confirmed by an administrator',
    )
    .option('--json', 'answer as JSON')
    .action(async ({ key: path, accept, json }: Options) => {
      const enrolment = await readEnrolment(path)
      const http = makeHttp()
      const published = await publishedKeys(http, enrolment.url).finally(() => http.close())
      const believed = new Set(await Promise.all(enrolment.installationKeys.map(kidOf)))
      if (accept !== undefined && !believed.has(accept)) {
        if (!published.some(({ kid }) => kid === accept))
          throw new Failure(`${enrolment.url} does not publish the key ${accept}.`)
        believed.add(accept)
      }
      if (accept !== undefined) {
        // Dates of retirement follow what is published; a key that is no longer published stays as it was.
        const known = new Map(enrolment.installationKeys.map((each) => [each.x, each]))
        for (const each of published) if (each.kid !== undefined && believed.has(each.kid)) known.set(each.x, each)
        await writeEnrolment(path, { ...enrolment, installationKeys: [...known.values()] })
      }
      const rows = published.map((each) => ({ ...each, believed: each.kid !== undefined && believed.has(each.kid) }))
      if (json) return console.log(JSON.stringify({ dock: enrolment.dock, keys: rows }))
      for (const { kid, from, to, believed: yes } of rows) {
        console.log(
          `${kid}  ${yes ? 'believed' : 'NOT believed'}${from === undefined ? '' : `  from ${from}`}${to === undefined ? '' : `  to ${to}`}`,
        )
      }
      if (rows.some((row) => !row.believed)) {
        console.log(
          'A key that is not believed is accepted with --accept <kid>, once an administrator has confirmed its name.',
        )
      }
    })
