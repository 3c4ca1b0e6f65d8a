import type { ExhibitStory, MediaFile } from '../story.ts'
import { lasting, moment } from '../wording.ts'
import { apart, html, type Markup } from './markup.ts'

/** From `data/index.html` to a file of the bundle. */
export const linkTo = (path: string): string => {
  const steps = path.startsWith('data/') ? path.slice('data/'.length) : `../${path}`
  return steps.split('/').map(encodeURIComponent).join('/').replaceAll('%2E', '.')
}

const units = ['bytes', 'kB', 'MB', 'GB', 'TB']

/** `12.3 MB`: powers of 1000. */
export const inBytes = (bytes: number): string => {
  let [value, unit] = [bytes, 0]
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1000
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export const when = (at: string): Markup => html`<time datetime="${at}">${moment(new Date(at))}</time>`

const made: Record<MediaFile['made'], string> = {
  original: "the camera's own file",
  clip: 'the clip',
  'viewing-copy': 'a copy for looking at, never evidence',
}

const fileLine = (file: MediaFile): Markup => html`
          <li><a href="${linkTo(file.path)}">${file.path}</a>: ${made[file.made]}, ${inBytes(file.size)}
            <span class="digest">SHA-256 ${file.sha256}</span></li>`

/** Many players that each look into their file at once would keep a disk busy. */
const eager = 8

const player = ({ reference, media, viewingCopy, playable }: ExhibitStory, index: number): Markup => {
  const shown = viewingCopy ?? (playable ? media : null)
  if (shown === null) {
    return html`
        <p class="notice">No browser plays this file, and no copy for looking at could be made of it. Open
          <a href="${linkTo(media.path)}">${media.path}</a> with another program.</p>`
  }
  const preload = index < eager ? 'metadata' : 'none'
  const source = html`controls preload="${preload}" src="${linkTo(shown.path)}" aria-label="Exhibit ${reference}"`
  const element = shown.mediaType.startsWith('audio/')
    ? html`<audio ${source}></audio>`
    : html`<video ${source} playsinline disablepictureinpicture disableremoteplayback></video>`
  const what =
    shown.made === 'viewing-copy'
      ? html`What plays here is a copy for looking at. The evidence is ${media.path}.`
      : html`What plays here is the evidence itself.`
  return html`
        <figure>
          ${element}
          <figcaption>${what}</figcaption>
          <p class="notice unplayed" hidden>This browser does not play it here. Is the whole bundle unpacked? Else open
            <a href="${linkTo(shown.path)}">${shown.path}</a> with another program.</p>
        </figure>`
}

const row = (name: string, value: Markup | string): Markup => html`
          <dt>${name}</dt><dd>${typeof value === 'string' ? apart(value) : value}</dd>`

const facts = ({ kind, provenance: { source, clip } }: ExhibitStory): Markup[] => [
  row('What it is', kind === 'recording' ? 'A whole recording' : 'An exact excerpt of a recording'),
  ...(clip === null
    ? []
    : [
        row(
          'Its range',
          `from ${clip.asked.start} s to ${clip.asked.end} s of the recording, ${clip.exact.frames} frames`,
        ),
        row('How it was cut', `with ${clip.tool}; ${clip.checks.join('; ')}`),
      ]),
  row('Camera', source.camera),
  row('Officer', source.officer ?? 'not known'),
  row("By the camera's clock", when(source.recordedAt)),
  row('Arrived', when(source.receivedAt)),
  ...(source.duration === null ? [] : [row('Length of the recording', lasting(source.duration))]),
  row('Its name on the camera', source.filename),
  ...(source.incident === null ? [] : [row('Incident', source.incident)]),
  ...(source.flags.length === 0 ? [] : [row('Marked', source.flags.join(', ').replaceAll('_', ' '))]),
  row('Recording', html`${source.recording} <span class="digest">SHA-256 ${source.sha256}</span>`),
]

/** An exhibit: what it is, playing, where it comes from, what happened to it, and which files are it. */
export const exhibitSection = (exhibit: ExhibitStory, index: number): Markup => {
  const { item, reference, description, media, viewingCopy, original, receipt, story } = exhibit
  const { provenancePath, statementPath } = exhibit
  const files = [media, viewingCopy, original].filter((file) => file !== null)
  return html`
      <article class="card" id="exhibit-${item}" aria-labelledby="exhibit-${item}-title">
        <h3 id="exhibit-${item}-title"><span class="item">${item}</span> ${apart(reference)}</h3>
        <p class="description">${apart(description)}</p>${player(exhibit, index)}
        <dl>${facts(exhibit)}
        </dl>
        <h4>What happened to it</h4>
        <ol class="story">${story.map(
          ({ at, words, entry, leaf }) => html`
          <li>${when(at)} <span>${apart(words)}${
            entry === null ? '' : html` <a class="entry" href="${linkTo(entry)}">entry of the ledger</a>`
          }${
            entry === null || leaf === null
              ? ''
              : html` <span class="leaf" data-entry="${entry}" data-state="open">leaf ${leaf.index} of ${leaf.size} in the log</span>`
          }</span></li>`,
        )}
        </ol>
        <p><a href="${linkTo(statementPath)}">The continuity statement</a> to print: every act that is on record of it, those
          that are sealed for you too, each with its place in the log.</p>
        <h4>Its files</h4>
        <ul class="files">${files.map(fileLine)}
          <li><a href="${linkTo(provenancePath)}">${provenancePath}</a>: where it comes from and how it was made, in full</li>${
            receipt === null
              ? html`
          <li>There is no receipt: only a part of the recording came into custody. The entry of that states its digest.</li>`
              : html`
          <li><a href="${linkTo(receipt)}">${receipt}</a>: the signed receipt of the recording</li>`
          }
        </ul>
      </article>`
}
