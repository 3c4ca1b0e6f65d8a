import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { Type } from 'typebox'
import { issueToken } from '../engines/embedded/issue-token.ts'
import { PolicyView, SimulationView } from '../retention/schemas.ts'
import { makeHttp } from './dock/http.ts'
import { type Installation, jsonBody, reach, readAs, readUrl } from './dock/installation.ts'
import { Failure } from './failure.ts'
import { whereaboutsOf } from './up/whereabouts.ts'
import { counted, inBytes, printable } from './words.ts'

type Options = {
  category?: string
  uncategorised?: true
  trigger: string
  period?: string
  grace?: string
  url: string
  token?: string
  data?: string
  json?: true
}
type Simulation = Type.Static<typeof SimulationView>

const lookEveryMs = 300

const named = ({ url, token = process.env.EXHIBIT_TOKEN }: Options) => {
  if (!token) throw new Failure('A token of retention is needed: give it in EXHIBIT_TOKEN or with --token.')
  return { url, token }
}

const embedded = async (dataDir: string) => {
  const { url, issuer } = whereaboutsOf(dataDir)
  return { url, token: await issueToken({ issuer, role: 'retention' }) }
}

/** The id of the draft that is to be simulated: the one named, or one that is made now. */
const draftOf = async (installation: Installation, policy: string | undefined, options: Options): Promise<string> => {
  const { category, uncategorised, trigger, period, grace } = options
  if (policy !== undefined) {
    if (category !== undefined || uncategorised || period !== undefined)
      throw new Failure('Name a draft that is there, or describe a new one; not both.')
    return encodeURIComponent(policy)
  }
  if (period === undefined || (category === undefined) !== (uncategorised === true))
    throw new Failure('Name a draft, or describe a new one with --period and either --category or --uncategorised.')
  const draft = { category: category ?? null, trigger, period, ...(grace === undefined ? {} : { grace }) }
  const answer = await installation.call({ method: 'POST', to: '/retention/policies', ...jsonBody(draft) })
  return readAs(PolicyView, answer).id
}

const simulated = async (installation: Installation, policy: string): Promise<Simulation> => {
  const to = `/retention/policies/${policy}/simulation`
  await installation.call({ method: 'POST', to })
  for (;;) {
    const simulation = readAs(SimulationView, await installation.call({ method: 'GET', to }))
    if (simulation.state === 'ready') return simulation
    if (simulation.state === 'failed') throw new Failure(simulation.failure ?? 'The simulation gave up.')
    await delay(lookEveryMs)
  }
}

const rows = [
  ['due', 'would have a date'],
  ['sooner', 'would be due sooner than now, what is kept now included'],
  ['later', 'would be due later than now, or be kept'],
  ['atOnce', 'would be due the moment it takes effect'],
  ['held', 'would have a date, were it not for a hold or an open case'],
] as const

const inLines = (policy: string, simulation: Simulation): string[] => [
  `The draft ${printable(policy)} was simulated on the whole catalogue. Nothing has changed.`,
  '',
  ...rows.map(([name, words]) => {
    const { count, bytes } = simulation[name]
    return `  ${`${counted(count, 'recording')}, ${inBytes(bytes)}`.padEnd(32)} ${words}`
  }),
  '',
  'It takes effect when another person has seen this and approves it.',
]

const simulateCommand = (): Command =>
  new Command('simulate')
    .description('Work out, over the whole catalogue, what a drafted policy would change, and change nothing')
    .argument('[policy]', 'id of a draft; without it a new one is made of the options')
    .option('--category <name>', 'of the new draft')
    .option('--uncategorised', 'the new draft is for recordings that have no category')
    .option('--trigger <event>', 'what its period counts from: recorded, or an event of a case', 'recorded')
    .option('--period <duration>', 'how long it keeps: P31D, P6M, P6Y')
    .option('--grace <duration>', 'how long what is due stays hidden before it is erased; P30D when left out')
    .option('--url <url>', 'the installation', process.env.EXHIBIT_URL ?? 'http://127.0.0.1:8080')
    .option(
      '--token <token>',
      'of retention; better in the environment variable EXHIBIT_TOKEN, which other users cannot see',
    )
    .option('--data <folder>', 'data folder of an embedded stack, instead of --url and --token')
    .option('--json', 'answer as JSON')
    .action(async (policy: string | undefined, options: Options) => {
      const { url, token } = options.data === undefined ? named(options) : await embedded(options.data)
      const http = makeHttp()
      try {
        const installation = reach(http, readUrl(url), { token: async () => token })
        const id = await draftOf(installation, policy, options)
        const simulation = await simulated(installation, id)
        const { id: simulationId, ...found } = simulation
        if (options.json) console.log(JSON.stringify({ policy: id, simulation: simulationId, ...found }))
        else console.log(inLines(id, simulation).join('\n'))
      } finally {
        http.close()
      }
    })

export const retentionCommand = (): Command =>
  new Command('retention').description('What may be destroyed, and when').addCommand(simulateCommand())
