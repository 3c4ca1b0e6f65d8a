import type { BundleStory } from '../story.ts'
import { exhibitSection, inBytes, linkTo, when } from './exhibit.ts'
import { apart, html, type Markup } from './markup.ts'

export const masthead = ({ bundle, case: of }: BundleStory): Markup => html`
    <header>
      <p class="wordmark">Exhibit</p>
      <h1>Case ${apart(of.reference)}<span class="unseen">: </span><span class="title">${apart(of.title)}</span></h1>
      <dl>
        <dt>For</dt><dd>${apart(bundle.recipient)}</dd>
        <dt>Purpose</dt><dd>${apart(bundle.purpose)}</dd>
        <dt>Asked for</dt><dd>${when(bundle.askedAt)}</dd>
        <dt>Bundle</dt><dd>${bundle.id}, schedule ${bundle.schedule} of the case</dd>
      </dl>
    </header>`

/** What the page checks by itself, and what it needs the reader for. It is filled in by the script. */
export const checks = ({ bundle }: BundleStory): Markup => html`
      <section class="card checks" id="checks" aria-labelledby="checks-title" hidden>
        <h2 id="checks-title">Is it whole and unaltered?</h2>
        <p id="whole" role="status" data-state="open">Being checked</p>
        <ul class="proofs">
          <li id="proof-receipts" data-state="open">Receipts: being checked</li>
          <li id="proof-entries" data-state="open">Entries of the ledger: being checked</li>
          <li id="proof-log" data-state="open">The log: being checked</li>
          <li id="proof-exhibits" data-state="open">Exhibits: being checked</li>
          <li id="proof-files" data-state="open"><span aria-hidden="true">○</span>Files: not checked yet. A page opened from disk may not look beside itself.</li>
        </ul>
        <div id="zone" class="zone">
          <label class="choose" for="folder">Choose the folder of this bundle</label>
          <input id="folder" type="file" webkitdirectory multiple aria-describedby="zone-words">
          <p id="zone-words">or drop it here: <code>${bundle.folder}</code>, the one with <code>bagit.txt</code> in it. Every file is
            read to its end; nothing leaves this computer, whatever the browser calls it.</p>
        </div>
        <progress id="progress" max="1" value="0" aria-label="Files read" hidden></progress>
        <p id="progress-text" class="figures"></p>
        <p id="said" class="unseen" role="status"></p>
        <div id="wrong" hidden>
          <h3>What is wrong</h3>
          <ul id="findings"></ul>
        </div>
      </section>`

export const exhibits = ({ exhibits: all }: BundleStory): Markup => html`
      <section aria-labelledby="exhibits-title">
        <h2 id="exhibits-title">Exhibits</h2>
        <nav aria-label="Exhibits">
          <ul>${all.map(
            ({ item, reference }) => html`
            <li><a href="#exhibit-${item}"><span class="item">${item}</span> ${apart(reference)}</a></li>`,
          )}
          </ul>
        </nav>${all.map(exhibitSection)}
      </section>`

/** A table that is wider than the screen is moved by itself, also with the keyboard. */
const table = (label: string, head: readonly string[], rows: readonly Markup[]): Markup => html`
        <div class="wide" role="region" aria-label="${label}" tabindex="0">
          <table>
            <thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
            <tbody>${rows}
            </tbody>
          </table>
        </div>`

export const schedule = ({ schedule: items }: BundleStory): Markup => html`
      <section class="card" aria-labelledby="schedule-title">
        <h2 id="schedule-title">Schedule of exhibits (MG6C)</h2>
        <p>The same to print, for spreadsheets and for programs:
          ${['pdf', 'csv', 'json'].map((kind) => html`<a href="schedules/MG6C.${kind}">MG6C.${kind}</a> `)}</p>${table(
            'Schedule of exhibits',
            ['Item', 'Reference', 'Description', 'Content', 'Range', 'Location', 'Listed'],
            items.map(
              ({ item, reference, description, content, range, location, listed }) => html`
            <tr><th scope="row">${item}</th><td>${apart(reference)}</td><td>${apart(description)}</td><td>${apart(content)}</td><td>${apart(range)}</td><td>${apart(location)}</td><td class="figures">${listed}</td></tr>`,
            ),
          )}
      </section>`

export const holdings = ({ manifest, receipts, entries, keys: { keys, logs } }: BundleStory): Markup => {
  const size = manifest.reduce((sum, file) => sum + file.size, 0)
  return html`
      <section class="card" aria-labelledby="holdings-title">
        <h2 id="holdings-title">What this bundle holds</h2>
        <p>${manifest.length} files under <code>data/</code> beside this page, ${inBytes(size)}; receipts: ${receipts.length};
          entries of the ledger, each with its proof: ${entries.length}.</p>
        <details>
          <summary>Every file with its size and digest</summary>${table(
            'Files',
            ['File', 'Size', 'SHA-256'],
            manifest.map(
              (file) => html`
            <tr><th scope="row"><a href="${linkTo(file.path)}">${file.path}</a></th><td class="figures">${inBytes(file.size)}</td><td class="digest">${file.sha256}</td></tr>`,
            ),
          )}
        </details>
        <h3>What checks what</h3>
        <ul>
          <li><strong>This page</strong> holds the digest of every file under <code>data/</code> but itself, and all receipts,
            entries, proofs and keys. It checks the files when you show it the folder.</li>
          <li><strong>This page cannot vouch for itself.</strong> No file holds its own digest, and a page that was altered could
            say anything. <code>manifest-sha256.txt</code> has it: in the folder, run
            <code>sha256sum -c manifest-sha256.txt</code> and <code>sha256sum -c tagmanifest-sha256.txt</code>, or
            <code>exhibit verify</code>, which needs neither this page nor any server.</li>
          <li><strong>Digests</strong> show that nothing changed since the manifest was written. <strong>Receipts</strong> show who
            took a recording into custody, as the file that came out of the camera.</li>
          <li><strong>Entries</strong> state the digest of each recording and of each clip, and which exhibits this bundle was
            asked for with. Nothing speaks for a copy for looking at.</li>
          <li><strong>Proofs</strong> show that an entry stood in the log of the installation when the head of it was signed, at
            which place, and that it was neither changed since nor written later. That nothing else was done, they do not show:
            each exhibit's continuity statement lists what was, also what is not yours to know.</li>
          <li><strong>The keys</strong> came with the bundle, so by themselves they prove only that it agrees with itself. Compare
            them with those that the installation publishes, or ask somebody you know. Of receipts:
            ${keys.map(({ kid }) => html`<code class="digest">${kid}</code> `)} Of the log:
            ${logs.map(({ vkey }) => html`<code class="digest">${vkey}</code> `)}</li>
        </ul>
      </section>`
}
