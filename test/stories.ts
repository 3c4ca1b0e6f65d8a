import type { EntryId } from '../src/base/ids.ts'
import type { Act, ShownAct } from '../src/continuity/act.ts'
import { readStory } from '../src/continuity/actions.ts'
import type { Subject } from '../src/continuity/facts.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { Person } from '../src/people/person.ts'

/** The whole story as this person is told it, page by page. */
export const storyOf = async (engines: Engines, person: Person, subject: Subject, limit = 200): Promise<Act[]> => {
  const acts: Act[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await readStory(engines, person, subject, { limit, ...(cursor === undefined ? {} : { cursor }) })
    acts.push(...page.acts)
    if (page.nextCursor === null) return acts
    cursor = page.nextCursor
  }
}

export const isShown = (act: Act): act is ShownAct => act.shown === 'whole' || act.shown === 'in-part'

/** What was done; of what is not told, how it is shown. */
export const actionsIn = (acts: readonly Act[]): string[] => acts.map((act) => (isShown(act) ? act.action : act.shown))

/** The first act of this kind. */
export const only = (acts: readonly Act[], action: string): ShownAct => {
  const found = acts.filter(isShown).find((act) => act.action === action)
  if (found === undefined) throw new Error(`no ${action} in ${actionsIn(acts).join(', ')}`)
  return found
}

/** Leaf data as the ledger has it, whatever a story says. */
export const leavesOf = async ({ db }: Engines, ids: readonly EntryId[]): Promise<string[]> => {
  const rows = await db.selectFrom('entries').select('leaf').where('id', 'in', ids).orderBy('id').execute()
  return rows.map(({ leaf }) => leaf.toString('hex'))
}
