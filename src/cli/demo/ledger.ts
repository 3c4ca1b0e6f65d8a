import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { sql } from 'kysely'
import type { Static } from 'typebox'
import type { EntryId, RecordingId } from '../../base/ids.ts'
import { StoryView } from '../../continuity/schemas.ts'
import type { Db } from '../../engines/postgres.ts'
import { auditLedger } from '../../ledger/audit/audit.ts'
import { checkProof, logKeysIn } from '../../ledger/log/verify-proof.ts'
import { Failure } from '../failure.ts'
import { reachLedger } from '../ledger/reach.ts'
import { counted } from '../words.ts'
import { tokenOf } from './caller.ts'
import type { Scene } from './scene.ts'
import { until } from './until.ts'

type Story = Static<typeof StoryView>

/** The story of one recording, a proof that needs nobody's word, and a row that somebody altered with the database's own password. */
export const tellTheLedger = async (scene: Scene, recording: RecordingId): Promise<void> => {
  const story = await tellContinuity(scene, recording)
  await proveOne(scene, story)
  await tamper(scene, story)
}

const tellContinuity = async (scene: Scene, recording: RecordingId): Promise<Story> => {
  const { tell, askAs, signal, folder } = scene
  tell.step(
    'A supervisor reads the chain of custody: every act from the camera until now, each a leaf of a public log.',
  )
  const story = await until(signal, 'a story under a signed head', async () => {
    const found = await askAs('supervisor', 'GET', `/recordings/${recording}/custody?limit=200`, StoryView)
    // The reading itself is the newest act, and the next head covers it.
    return found.acts.slice(0, -1).every(({ underCheckpoint }) => underCheckpoint) ? found : undefined
  })
  for (const act of story.acts.slice(0, 6)) {
    if (act.shown !== 'withheld') tell.line(`leaf ${act.index ?? '–'}  ${act.at.slice(11, 19)}  ${act.words}`)
  }
  tell.line(`… ${counted(story.acts.length, 'act')} in all, by whom, when and why`)
  const pdf = await fetchAs(scene, `/recordings/${recording}/custody?format=pdf`)
  const file = path.join(folder, 'continuity.pdf')
  await writeFile(file, pdf)
  tell.line(`the same as a statement for a court: ${file}`)
  tell.check('the statement is a PDF', pdf.subarray(0, 5).toString() === '%PDF-')

  const other = await askAs('investigator:2', 'GET', `/recordings/${recording}/custody?limit=200`, StoryView)
  const named = other.acts.filter(
    (act) => act.shown !== 'withheld' && act.shown !== 'erased' && act.action === 'recording.viewing',
  )
  tell.check(
    'an investigator who has no part in it reads the same story, and not who watched or why',
    named.length > 0 && named.every((act) => 'who' in act && act.who === null && act.why === undefined),
  )
  return story
}

const fetchAs = async ({ installation: { url, issuer }, signal }: Scene, to: string): Promise<Buffer> => {
  const headers = { authorization: `Bearer ${await tokenOf(issuer, 'supervisor')}` }
  const answer = await fetch(`${url}/api/v1${to}`, { headers, signal })
  if (!answer.ok) throw new Failure(`${to} was answered ${answer.status}.`)
  return Buffer.from(await answer.arrayBuffer())
}

/** The first act about which something is told. */
const firstTold = ({ acts }: Story): { entry: EntryId; leaf: string; index: number | null } => {
  for (const act of acts) if (act.shown !== 'withheld') return act
  throw new Failure('Nothing of the story is told.')
}

const proveOne = async ({ installation: { url }, tell, signal }: Scene, story: Story): Promise<void> => {
  tell.step(
    'Nobody has to believe that. A proof, a key, and no server: the entry is in the log, and the log was signed.',
  )
  const { entry, leaf, index } = firstTold(story)
  const get = async (to: string) => await (await fetch(`${url}/api/v1/ledger/${to}`, { signal })).text()
  const keys = logKeysIn(JSON.parse(await get('keys')), '')
  const proof = await get(`proofs/${entry}`)
  const found = checkProof(proof, Buffer.from(leaf, 'hex'), keys)
  if ('fault' in found) throw new Failure(found.fault)
  tell.line(
    `${found.origin}: leaf ${found.index} of ${found.size}, ${proof.split('\n').length} lines, verified offline`,
  )
  tell.check('the first entry of the story is in the log, at the place that the story names', found.index === index)
  const other = checkProof(proof, Buffer.alloc(32), keys)
  tell.check('the same proof does not prove another entry', 'fault' in other)
}

/** Changes one letter of an entry's text, and answers what puts it back. */
const alter = async (db: Db, entry: EntryId): Promise<() => Promise<void>> => {
  const { entry: before } = await db
    .selectFrom('entryBodies')
    .select('entry')
    .where('id', '=', entry)
    .executeTakeFirstOrThrow()
  const write = async (text: string | null) =>
    await db.transaction().execute(async (tx) => {
      await sql`alter table entry_bodies disable trigger user`.execute(tx)
      await sql`update entry_bodies set entry = ${text} where id = ${entry}`.execute(tx)
      await sql`alter table entry_bodies enable trigger user`.execute(tx)
    })
  await write(before?.replace('"outcome":"allowed"', '"outcome":"allowee"') ?? null)
  return async () => await write(before)
}

const tamper = async ({ installation: { dataDir }, tell }: Scene, story: Story): Promise<void> => {
  tell.step('Somebody with the password of the database’s owner alters one letter of that entry, past every trigger.')
  const { entry, index } = firstTold(story)
  const audit = async () => await reachLedger(dataDir, 'DATABASE_URL', async (engines) => await auditLedger(engines))
  await reachLedger(dataDir, 'DATABASE_OWNER_URL', async ({ db }) => {
    const putBack = await alter(db, entry)
    const { findings } = await audit()
    for (const { kind, happened, first } of findings)
      tell.line(`exhibit ledger audit: ${kind}, leaf ${first.index ?? '–'}. ${happened}`)
    tell.check(
      'the audit names that leaf, and nothing else',
      findings.length === 1 && findings[0]?.first.index === index,
    )
    await putBack()
  })
  const after = await audit()
  tell.check(`put back, the whole log is what was signed: ${after.logs[0]?.leaves ?? 0} leaves`, after.ok)
}
