// @ts-check
// The reader shows the page the folder it stands in: a page from disk may not look beside itself.

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
const entriesOf = async (folder) => {
  const reader = folder.createReader()
  /** @type {FileSystemEntry[]} */
  const all = []
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return all
    all.push(...some)
  }
}

/**
 * The old way: Firefox and Safari let a page from disk go it.
 * @param {any} entry @param {Map<string, File>} files
 */
const walkEntry = async (entry, files) => {
  if (entry.isDirectory) {
    for (const each of await entriesOf(entry)) await walkEntry(each, files)
    return
  }
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject))
  files.set(entry.fullPath.replace(/^\//, ''), file)
}

/**
 * The new way, and the only one in which Chromium lets a page from disk read what was dropped.
 * @param {any} handle @param {string} path @param {Map<string, File>} files
 */
const walkHandle = async (handle, path, files) => {
  if (handle.kind === 'file') files.set(path, await handle.getFile())
  else for await (const [name, each] of handle.entries()) await walkHandle(each, `${path}/${name}`, files)
}

/**
 * What was dropped, by path; null where the browser does not let this page read it.
 * @param {DataTransferItemList} items
 */
export const filesDropped = async (items) => {
  /** @type {Map<string, File>} */
  const files = new Map()
  // Both must be asked for before anything is awaited: the items are gone after that.
  const dropped = [...items].map((item) => {
    const asked = /** @type {any} */ (item).getAsFileSystemHandle?.()
    return { handle: asked?.catch(() => null), entry: item.webkitGetAsEntry() }
  })
  try {
    for (const { handle, entry } of dropped) {
      const found = await handle
      if (found) await walkHandle(found, found.name, files)
      else if (entry !== null) await walkEntry(entry, files)
    }
  } catch {
    return null
  }
  return files
}

/** @param {FileList} list */
export const filesChosen = (list) => new Map([...list].map((file) => [file.webkitRelativePath || file.name, file]))

/**
 * Files by their paths in the bag. Null where this is not the bundle's folder: there is no bagit.txt in it.
 * @param {Map<string, File>} files
 */
export const inBag = (files) => {
  const marks = [...files.keys()].filter((path) => /(^|\/)bagit\.txt$/.test(path))
  const [nearest] = marks.sort((a, b) => a.length - b.length)
  if (nearest === undefined) return null
  const top = nearest.slice(0, -'bagit.txt'.length)
  return new Map(
    [...files].filter(([path]) => path.startsWith(top)).map(([path, file]) => [path.slice(top.length), file]),
  )
}
