import { iso } from '../base/time.ts'
import type { BundleFile, BundleStory } from './story.ts'

/** Texts of a bag (RFC 8493). Names in it are ours, so that no line of a manifest has to be escaped. */

export const bagit = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'

/** As `sha256sum` writes and reads it. */
export const manifestOf = (files: readonly BundleFile[]): string =>
  files.map(({ sha256, path }) => `${sha256}  ${path}\n`).join('')

/** A value on one line: a line that began with a space would go on with the one before. */
const line = (label: string, value: string): string => `${label}: ${value.replace(/\s+/g, ' ').trim()}\n`

/** `payload` is every file under `data/`. */
export const bagInfo = ({ bundle, case: of }: BundleStory, holder: string, payload: readonly BundleFile[]): string => {
  const bytes = payload.reduce((sum, { size }) => sum + size, 0)
  return [
    line('Source-Organization', holder),
    line('External-Description', `Exhibits of case ${of.reference}, schedule ${bundle.schedule}`),
    line('External-Identifier', bundle.id),
    line('Bagging-Date', bundle.askedAt.slice(0, 10)),
    line('Bagging-Time', iso(new Date(bundle.askedAt))),
    line('Payload-Oxum', `${bytes}.${payload.length}`),
    line('Recipient', bundle.recipient),
    line('Purpose', bundle.purpose),
    line('Bag-Software-Agent', 'Exhibit'),
  ].join('')
}

const rule = '-'.repeat(72)

const exhibitLines = ({ exhibits }: BundleStory): string[] =>
  exhibits.flatMap(({ item, reference, kind, media, viewingCopy, original }) => [
    `  ${item}. ${reference}, a ${kind}: ${media.path}`,
    ...(viewingCopy === null ? [] : [`     to look at it in a browser (never evidence): ${viewingCopy.path}`]),
    ...(original === null ? [] : [`     the recording it was cut from: ${original.path}`]),
  ])

/** What somebody reads who has nothing but this folder. */
export const readme = (story: BundleStory, holder: string): string => {
  const { bundle, case: of, receipts, entries, checkpoints } = story
  return `Exhibits of case ${of.reference}
for ${bundle.recipient}
${bundle.purpose}

Bundle ${bundle.id}, asked for at ${bundle.askedAt}, from ${holder}.
${rule}
LOOK

  Open data/index.html in a browser. It needs no network and no installation.
  It plays the exhibits, shows the schedule and each exhibit's story, and
  checks this bundle.

${exhibitLines(story).join('\n')}

  Beside each exhibit, provenance.json says from where it comes, by which tool
  it was made, and what it is not; continuity.pdf, to print, lists every act that
  is on record of it. data/schedules/ holds the schedule (MG6C) to print, for
  spreadsheets and for programs. Where no browser plays an exhibit and no viewing
  copy is named, none could be made of it.
${rule}
CHECK BY HAND

  In a terminal, inside this folder (the one with bagit.txt in it):

    sha256sum -c manifest-sha256.txt
    sha256sum -c tagmanifest-sha256.txt

  On a Mac: shasum -a 256 -c manifest-sha256.txt, and the same for the other.
  Each line must end with OK. The first checks everything under data/, the
  second everything else. Both together list every file there should be: one
  that is in this folder and in neither list does not belong to this bundle (but
  for tagmanifest-sha256.txt itself). The folder is a BagIt 1.0 bag (RFC 8493):
  any BagIt validator does the same.

  Digests show that nothing changed since the bundle was made. That the footage
  is what came into custody, the receipts show:
${rule}
PROOFS

  proofs/receipts/ (${receipts.length}): signed by ${holder} when a recording came into
  custody, after every byte of it had been read back. Each is a compact JWS
  (EdDSA); its middle part, base64url decoded, names the SHA-256 of the
  recording. An exhibit that is a recording has that SHA-256 itself. For one
  that is a clip it is the SHA-256 of the recording it was cut from.

  proofs/keys.json: the public keys, of receipts and of the log. Compare them with
  those that ${holder} publishes, or ask for them by another way than this bundle.

  proofs/entries/ (${entries.length}): entries of the log of ${holder} about what is in
  this bundle. An entry's parts (who, what for, details) are sealed in it by
  SHA-256(salt + canonical JSON); the parts meant for you are beside it, with
  their salts. SHA-256(salt + canonical entry) is its leaf in the log; that of
  the entry of a recording's verification is in its receipt too. The SHA-256 and
  the size of an exhibit are in the details of an entry: for a recording, with a
  receipt or without, of recording.verified; for a clip, of clip.cut. The details
  of bundle.asked list the exhibits that belong to this bundle.

  Beside each <n>.entry.json is <n>.tlog-proof: that its leaf is in the log. It
  gives the leaf (extra) and its place (index), the hashes on the way from there
  to the root, and after an empty line the head of the log that has the root: the
  same bytes as ${checkpoints.map(({ path }) => path).join(' or ')}. Begin with
  SHA-256(byte 0 + leaf), and join each hash to what you have, on the side on which
  it stands in the tree: SHA-256(byte 1 + left + right). RFC 9162, section 2.1.3.2,
  says which side that is; docs/verify.md of the software (Exhibit) has sixty lines
  of Python that do it with openssl. The last must be the root.

  The head is three lines: the name of the log, how many leaves it has, and the
  root. The signature below, by the log's key, is Ed25519 over these lines
  (c2sp.org/tlog-checkpoint). Whoever has another head of the same log can tell
  whether one continues the other.

  What was chosen: you are shown how the footage came into custody, how clips
  were cut, when exhibits were made, and that this bundle was asked for. You are
  not shown who looked at the footage, what anybody gave as a reason for that,
  holds, other cases, or earlier words about an exhibit. Those entries are kept:
  ask for them by their places in the log, which continuity.pdf gives. People stand
  in the entries by an id and their role.

  A viewing copy is never evidence. Sensitive material is in no bundle.
`
}
