// @ts-check
import { checkFiles } from './check.js'
import { filesChosen, filesDropped, inBag } from './folder.js'
import { checkProofs } from './proofs.js'

/** @typedef {import('./proofs.js').Finding} Finding */

const element = (/** @type {string} */ id) => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found
}

/** @type {import('./proofs.js').Story} */
const story = JSON.parse(element('story').textContent ?? '')

const marks = { well: '✓', wrong: '✗', open: '○' }

/** @param {string} id @param {keyof typeof marks} state @param {string} words */
const tell = (id, state, words) => {
  const line = element(id)
  line.dataset.state = state
  line.replaceChildren(Object.assign(document.createElement('span'), { textContent: marks[state] }), words)
  line.firstElementChild?.setAttribute('aria-hidden', 'true')
}

const counted = (/** @type {number} */ count, /** @type {string} */ one, many = `${one}s`) =>
  `${count.toLocaleString('en-GB')} ${count === 1 ? one : many}`

/** What each kind of finding is called for a reader. @type {Record<string, string>} */
const kinds = {
  missing: 'Missing',
  extra: 'Extra',
  altered: 'Altered',
  cut: 'Cut short',
  unreadable: 'Unreadable',
  manifest: 'Manifest',
  receipt: 'Receipt',
  entry: 'Ledger entry',
  checkpoint: 'Head of the log',
  proof: 'Proof',
  exhibit: 'Exhibit',
}

const shown = (/** @type {string} */ text) =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\ufffd')

/** @type {{ proofs: Finding[]; files: Finding[] | null; unable: boolean }} */
const known = { proofs: [], files: null, unable: false }

const show = () => {
  const findings = [...known.proofs, ...(known.files ?? [])]
  element('findings').replaceChildren(
    ...findings.map(({ kind, path, says }) => {
      const item = document.createElement('li')
      const what = Object.assign(document.createElement('strong'), { textContent: kinds[kind] ?? kind })
      const where = Object.assign(document.createElement('code'), { textContent: shown(path) })
      item.append(what, ' ', where, ' ', shown(says))
      return item
    }),
  )
  element('wrong').hidden = findings.length === 0
  const whole = element('whole')
  const all = known.files !== null && !known.unable
  whole.dataset.state = findings.length > 0 ? 'wrong' : all ? 'well' : 'open'
  whole.textContent =
    findings.length > 0
      ? `${counted(findings.length, 'thing is', 'things are')} not as when this bundle was made.`
      : all
        ? 'All files and proofs agree with what this page holds: nothing is missing, added or altered.'
        : known.files === null
          ? 'The files have not been checked yet.'
          : 'The files agree with what this page holds; this browser could not check the signatures.'
}

/** Beside each act, whether its entry is in the log. @param {Map<string, import('./proofs.js').Place>} places */
const tellPlaces = (places) => {
  for (const line of document.querySelectorAll('.leaf')) {
    if (!(line instanceof HTMLElement)) continue
    const { index, size, proven } = places.get(line.dataset.entry ?? '') ?? { index: 0, size: 0, proven: false }
    const where = `leaf ${index.toLocaleString('en-GB')} of ${size.toLocaleString('en-GB')} in the log`
    line.dataset.state = proven === null ? 'open' : proven ? 'well' : 'wrong'
    line.textContent =
      proven === null
        ? `${where}, its signature not checked`
        : proven
          ? `${where}, proven`
          : 'NOT proven to be in the log'
  }
}

/** @param {Awaited<ReturnType<typeof checkProofs>>['log']} log @param {number} wrong */
const tellLog = ({ places, heads }, wrong) => {
  tellPlaces(places)
  const proven = [...places.values()].filter((place) => place.proven === true).length
  const over = heads.map(({ size }) => counted(size, 'leaf', 'leaves')).join(' and ')
  if (wrong > 0)
    tell(
      'proof-log',
      'wrong',
      `The log: ${counted(wrong, 'proof or head of it does', 'proofs or heads of it do')} not hold.`,
    )
  else if (places.size === 0) tell('proof-log', 'open', 'The bundle holds no entry to be proven.')
  else if (proven < places.size) {
    const words = 'The proofs lead to the head of the log, but this browser cannot check its signature (Ed25519).'
    tell('proof-log', 'open', `${words} Use a newer one, or the command exhibit verify.`)
  } else {
    const words = `${counted(proven, 'entry is', 'entries are')} proven to be in the log`
    tell('proof-log', 'well', `${words}, under a head over ${over} that is signed right, with the key in this bundle.`)
  }
}

/** Which exhibits have none, and what speaks for them. */
const noReceipt = () => {
  const without = story.exhibits.filter(({ receipt }) => receipt === null).map(({ reference }) => shown(reference))
  const why = 'none is signed where only a part of a recording came into custody; the ledger states its digest.'
  return without.length === 0 ? '' : ` There is none of ${without.join(', ')}: ${why}`
}

const tellProofs = async () => {
  const { findings, unable, receipts, held, entries, log } = await checkProofs(story)
  known.proofs = findings
  known.unable = unable || [...log.places.values()].some(({ proven }) => proven === null)
  const wrong = (/** @type {string} */ kind) => findings.filter((finding) => finding.kind === kind).length
  tellLog(log, wrong('checkpoint') + wrong('proof'))
  if (unable) {
    tell(
      'proof-receipts',
      'open',
      'This browser cannot check the signatures of receipts (Ed25519). Use a newer one, or the command exhibit verify.',
    )
  } else if (story.receipts.length === 0) tell('proof-receipts', 'open', `The bundle holds no receipt.${noReceipt()}`)
  else {
    const own = 'with the keys in this bundle'
    const words = `${receipts} of ${counted(story.receipts.length, 'receipt')} signed right, ${own}.${noReceipt()}`
    tell('proof-receipts', wrong('receipt') > 0 ? 'wrong' : 'well', words)
  }
  const fits = held > 0 ? ` The entries that ${counted(held, 'receipt')} name are among them.` : ''
  const words = `${counted(entries, 'entry', 'entries')} of the ledger: what is shown of them is what was sealed.${fits}`
  if (wrong('entry') === 0) tell('proof-entries', 'well', words)
  else tell('proof-entries', 'wrong', `${counted(wrong('entry'), 'entry', 'entries')} of the ledger do not hold.`)
  const exhibits = counted(story.exhibits.length, 'exhibit')
  if (wrong('exhibit') === 0)
    tell(
      'proof-exhibits',
      'well',
      `${exhibits}, those that were asked for: entries state their digests, and receipts fit.`,
    )
  else tell('proof-exhibits', 'wrong', `${exhibits}: they do not fit what entries of the ledger or receipts state.`)
  show()
}

/** Also to who does not see the page. @param {keyof typeof marks} state @param {string} words */
const tellOfFiles = (state, words) => {
  tell('proof-files', state, words)
  element('said').textContent = words
}

let checking = false

/** @param {Map<string, File>} files */
const tellFiles = async (files) => {
  if (checking || files.size === 0) return
  const bag = inBag(files)
  if (bag === null) {
    tellOfFiles('open', 'That is not the folder of this bundle: choose the one with bagit.txt in it.')
    return
  }
  checking = true
  const bar = /** @type {HTMLProgressElement} */ (element('progress'))
  bar.hidden = false
  let told = 0
  try {
    const {
      findings,
      right,
      files: all,
    } = await checkFiles(story, bag, ({ path, done, total }) => {
      if (performance.now() - told < 100) return
      told = performance.now()
      bar.value = total === 0 ? 1 : done / total
      element('progress-text').textContent = `${Math.floor((bar.value || 0) * 100)} % · ${shown(path)}`
    })
    known.files = findings
    tellOfFiles(findings.length === 0 ? 'well' : 'wrong', `${right} of ${counted(all, 'file')} have their digest.`)
    show()
  } finally {
    checking = false
    bar.hidden = true
    element('progress-text').textContent = ''
  }
}

const input = /** @type {HTMLInputElement} */ (element('folder'))
input.addEventListener('change', () => {
  const chosen = filesChosen(input.files ?? new DataTransfer().files)
  input.value = ''
  void tellFiles(chosen)
})

const zone = element('zone')
document.addEventListener('dragover', (event) => {
  event.preventDefault()
  zone.classList.add('over')
})
document.addEventListener('dragleave', () => zone.classList.remove('over'))
document.addEventListener('drop', async (event) => {
  event.preventDefault()
  zone.classList.remove('over')
  if (event.dataTransfer === null) return
  const dropped = await filesDropped(event.dataTransfer.items)
  if (dropped !== null) await tellFiles(dropped)
  else
    tellOfFiles(
      'open',
      'The browser did not let this page read all that was dropped. Use the button to choose the folder.',
    )
})

for (const player of document.querySelectorAll('video, audio')) {
  player.addEventListener('error', () => {
    const words = player.parentElement?.querySelector('.unplayed')
    if (words instanceof HTMLElement) words.hidden = false
  })
}
addEventListener('beforeprint', () => {
  for (const part of document.querySelectorAll('details')) part.open = true
})

element('checks').hidden = false
void tellProofs()
