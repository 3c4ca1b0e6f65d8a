/** File systems take 255, and a browser may add to the name. */
const longestBytes = 200

/** Marks that turn the direction of text or are not seen: they make a name look like another. Separators, quotes, controls. */
const deceiving = /[\p{C}\p{Zl}\p{Zp}/\\:*?"<>|]/gu
/** Names that Windows keeps for devices, whatever follows the dot. */
const device = /^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i

const endingOf = (name: string): string => /\.[A-Za-z0-9]{1,8}$/.exec(name)?.[0] ?? ''

/** Cut between characters. */
const shorten = (name: string): string => {
  const ending = endingOf(name)
  const room = new Uint8Array(longestBytes - ending.length)
  const { read } = new TextEncoder().encodeInto(name.slice(0, name.length - ending.length), room)
  return name.slice(0, read) + ending
}

/** A name under which a browser may save a file that somebody called `filename`; `fallback` where nothing of it is left. */
export const safeName = (filename: string, fallback: string): string => {
  const name = filename
    .toWellFormed()
    .normalize('NFC')
    .replace(deceiving, '_')
    .replace(/^[. ]+/, '')
  const shortened = shorten(name)
    .replace(/[. ]+$/, '')
    .replace(device, '_$1')
  return /[^_ .]/.test(shortened) ? shortened : fallback
}

// RFC 8187 leaves fewer characters as they are than encodeURIComponent does.
const encoded = (name: string): string =>
  encodeURIComponent(name).replace(/['()*!]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

/** The nearest name in ASCII; compatibility forms such as ＂ become signs here, so that it is made safe once more. */
const inAscii = (name: string, fallback: string): string => {
  const ascii = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^ -~]|[%;]/gu, '_')
  const ending = endingOf(ascii)
  const stem = ascii.slice(0, ascii.length - ending.length)
  return /[A-Za-z0-9]/.test(stem) ? safeName(ascii, fallback) : fallback + ending
}

/** `Content-Disposition` of a download (RFC 6266): an ASCII name for everyone, and the whole one for those who read RFC 8187. */
export const attachment = (filename: string, fallback: string): string => {
  const name = safeName(filename, fallback)
  return `attachment; filename="${inAscii(name, fallback)}"; filename*=UTF-8''${encoded(name)}`
}
