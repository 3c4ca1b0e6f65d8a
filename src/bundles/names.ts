/** Names that Windows keeps for devices, whatever follows the dot. */
const device = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i

const longest = 100

const endingOf = (name: string): string => /\.[a-z0-9]{1,8}$/i.exec(name)?.[0] ?? ''

/**
 * The nearest name in ASCII letters, digits, `.`, `_` and `-`: whatever opens a bundle, and whatever it counts letters in,
 * sees the same one, and neither a manifest nor a shell has to escape it. Empty where nothing of the given one is left.
 */
const inAscii = (given: string): string => {
  const name = given
    .toWellFormed()
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/\.{2,}/g, '.')
    // A dash at the beginning would be an option to a command, a dot a hidden file.
    .replace(/^[._-]+/, '')
    .replace(/[._]+$/, '')
  return /[A-Za-z0-9]/.test(name) ? name : ''
}

/** `room` characters at most, its ending kept; a device's name is one no more. */
const fitted = (name: string, room: number): string => {
  const whole = device.test(name) ? `_${name}` : name
  if (whole.length <= room) return whole
  const ending = endingOf(whole)
  return whole.slice(0, room - ending.length).replace(/[._-]+$/, '') + ending
}

/**
 * One path segment for each given text, a reference or a file's name, in their order: never empty, without slashes, control
 * characters or a dot at its ends, no device's name, 100 bytes at most. Two that would be the same, also to a file system
 * that does not tell capitals apart, or one of `taken`, get numbers, so that all are different. The same texts give the
 * same names.
 */
export const safeNames = (given: readonly string[], fallback: string, taken: readonly string[] = []): string[] => {
  const used = new Set(taken.map((name) => name.toLowerCase()))
  return given.map((text) => {
    const name = inAscii(text) || fallback
    for (let count = 1; ; count += 1) {
      const suffix = count === 1 ? '' : `-${count}`
      const fit = fitted(name, longest - suffix.length)
      const ending = endingOf(fit)
      const candidate = fit.slice(0, fit.length - ending.length) + suffix + ending
      if (used.has(candidate.toLowerCase())) continue
      used.add(candidate.toLowerCase())
      return candidate
    }
  })
}

/** What media of this type is called, its usual ending first. */
const endings: Record<string, readonly string[]> = {
  'video/mp4': ['mp4', 'm4v'],
  'audio/mp4': ['m4a', 'mp4'],
  'video/quicktime': ['mov', 'qt', 'mp4'],
  'video/3gpp': ['3gp', '3g2', 'mp4'],
  'video/x-msvideo': ['avi'],
  'audio/wav': ['wav'],
  'video/webm': ['webm'],
  'video/x-matroska': ['mkv', 'mka'],
  'video/mp2t': ['ts', 'mts', 'm2ts'],
  'video/mpeg': ['mpg', 'mpeg', 'vob', 'm2v'],
  'video/ogg': ['ogv', 'ogg', 'oga'],
  'video/x-flv': ['flv'],
  'audio/flac': ['flac'],
  'audio/mpeg': ['mp3'],
  'video/x-ms-asf': ['wmv', 'asf', 'wma'],
}

/**
 * The name of a file as what it is, not as somebody called it: `video.exe` that holds an MP4 becomes `video.exe.mp4`, which
 * no machine runs. What nobody knows ends in `bin`.
 */
export const namedAs = (filename: string, mediaType: string | null): string => {
  const known = endings[mediaType ?? ''] ?? ['bin']
  const ending = endingOf(filename).slice(1).toLowerCase()
  if (known.includes(ending)) return filename
  return `${filename.replaceAll('.', '_')}.${known[0]}`
}
