const longest = 120

/** Marks that turn the direction of text or are not seen: they make a name look like another. Separators, quotes, controls. */
const deceiving = /[\p{C}\p{Zl}\p{Zp}/\\:*?"<>|]/gu
/** Names that Windows keeps for devices, whatever follows the dot. */
const device = /^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i

const shorten = (name: string): string => {
  const letters = [...name]
  if (letters.length <= longest) return name
  const ending = /\.[A-Za-z0-9]{1,8}$/.exec(name)?.[0] ?? ''
  return letters.slice(0, longest - ending.length).join('') + ending
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

/** `Content-Disposition` of a download (RFC 6266): an ASCII name for everyone, and the whole one for those who read RFC 8187. */
export const attachment = (filename: string, fallback: string): string => {
  const name = safeName(filename, fallback)
  const ascii = safeName(
    name
      .normalize('NFKD')
      .replace(/[^ -~]/g, '')
      .replace(/[%;]/g, '_'),
    fallback,
  )
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded(name)}`
}
