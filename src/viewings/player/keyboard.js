// @ts-check
// The keys. A control that has the focus keeps the keys it needs itself.

/** @param {Element | null} element @param {string} key */
const keeps = (element, key) => {
  if (element instanceof HTMLSelectElement) return true
  if (element instanceof HTMLInputElement) return key.startsWith('Arrow') || key === 'Home' || key === 'End'
  if (element instanceof HTMLButtonElement || element instanceof HTMLAnchorElement) return key === ' '
  return false
}

/** @param {import('./playback.js').Playback} playback @param {{ help: HTMLDialogElement; bar: HTMLElement }} page */
export const listenToKeys = (playback, { help, bar }) => {
  /** @type {Readonly<Record<string, () => unknown>>} */
  const keys = {
    ' ': playback.toggle,
    k: playback.toggle,
    j: () => playback.jump(-10),
    l: () => playback.jump(10),
    ArrowLeft: () => playback.jump(-5),
    ArrowRight: () => playback.jump(5),
    ',': () => playback.step(-1),
    '.': () => playback.step(1),
    '<': () => playback.changeSpeed(-1),
    '>': () => playback.changeSpeed(1),
    m: playback.toggleMute,
    f: playback.fullScreen,
    Home: playback.start,
    End: playback.end,
    '?': () => help.showModal(),
  }
  /** What a slider answers to besides. @type {Readonly<Record<string, () => unknown>>} */
  const onBar = {
    ArrowUp: () => playback.jump(5),
    ArrowDown: () => playback.jump(-5),
    PageUp: () => playback.jump(60),
    PageDown: () => playback.jump(-60),
  }
  /** One press, one change: held down, these would flicker. */
  const once = new Set([' ', 'k', 'm', 'f', '?'])

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    if (keeps(document.activeElement, key)) return
    const act = (document.activeElement === bar ? onBar[key] : undefined) ?? keys[key]
    if (act === undefined) return
    event.preventDefault()
    if (event.repeat && once.has(key)) return
    act()
  })
}
