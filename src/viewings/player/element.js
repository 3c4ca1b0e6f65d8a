// @ts-check

/**
 * An element of the page by its id, of the kind it must be.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 */
export const element = (id, kind) => {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`)
  return found
}

/** Writes only what changed, so that nothing is laid out or read aloud twice. @param {string} id @param {string} text */
export const write = (id, text) => {
  const at = element(id, HTMLElement)
  if (at.textContent !== text) at.textContent = text
}
