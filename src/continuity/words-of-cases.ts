import { inHistory } from '../cases/history-words.ts'
import { memberAt, type Words } from './telling.ts'

/** As the history of the case tells it, where its detail is visible. */
const asTold =
  (action: string, otherwise: string): Words[string] =>
  ({ json }) =>
    json === undefined ? otherwise : inHistory(action, json)

/** What was done with footage in a case, and that it was disclosed. */
export const caseWords: Words = {
  'case.opened': asTold('case.opened', 'A case was opened.'),
  'case.renamed': asTold('case.renamed', 'The case was renamed.'),
  'case.closed': asTold('case.closed', 'The case was closed.'),
  'case.reopened': () => 'The case was reopened.',
  'case.member-set': () => 'Somebody was made a member of the case, or got another role in it.',
  'case.member-removed': () => 'Somebody is no longer a member of the case.',
  'case.event-noted': asTold('case.event-noted', 'An event of the case was noted.'),
  'case.event-withdrawn': asTold('case.event-withdrawn', 'An event of the case was withdrawn as wrong.'),
  'case.list': () => 'A list of cases was read.',
  'case.read': () => 'The case was read.',
  'case.history-read': () => 'The history of the case was read.',
  'case.events-read': () => 'The events of the case were read.',
  'exhibit.added': asTold('exhibit.added', 'It was put into a case as an exhibit.'),
  'exhibit.changed': asTold('exhibit.changed', 'The words about the exhibit were changed; the footage was not.'),
  'exhibit.withdrawn': asTold('exhibit.withdrawn', 'The exhibit was withdrawn from the case.'),
  'exhibit.moved-away': asTold(
    'exhibit.moved-away',
    'The exhibit was moved, and is no longer one under its old reference.',
  ),
  'exhibit.moved-here': asTold(
    'exhibit.moved-here',
    'The exhibit was moved, and has been one under its new reference since.',
  ),
  'exhibit.list': () => 'The exhibits of the case were listed.',
  'exhibit.read': () => 'The facts of the exhibit were read.',
  'bundle.asked': () => 'A bundle of exhibits of the case was asked for, to be disclosed.',
  'bundle.made': () => 'The bundle was made: a copy of its exhibits was ready to be given out.',
  'bundle.failed': () => 'The bundle could not be made, and nothing was given out.',
  'bundle.read': () => 'It was read how far the bundle is.',
  'bundle.list': () => 'The bundles of the case were listed.',
  'recording.disclosed': ({ json }) => {
    const original = memberAt(json, 'original')
    if (original === undefined) return 'A copy of this footage was put into a bundle that was disclosed.'
    return original === true
      ? 'A copy of the recording was put into a bundle that was disclosed.'
      : 'A copy of a clip of the recording was put into a bundle that was disclosed.'
  },
}
