import type { RecordingId, Sha256 } from '../base/ids.ts'
import { clipKey } from '../clips/clip.ts'
import type { Bucket } from '../engines/store.ts'
import type { RecordingRow } from '../engines/tables.ts'
import { renditionKey } from '../renditions/rendition.ts'
import { originalKey } from '../uploads/upload.ts'
import type { Contents, ContentsOfExhibit, Held } from './contents.ts'
import { namedAs, safeNames } from './names.ts'
import { playsInBrowsers } from './playing.ts'
import type { MediaFile } from './story.ts'

/** An object of the store, and what the catalogue says it is. */
export type StoredObject = { bucket: Bucket; key: string; version?: string; size: number; sha256: Sha256 }

/** A file to be: objects of the store, one after the other. Its digest is known beforehand where it is one object. */
export type PlannedFile = Omit<MediaFile, 'sha256'> & { objects: StoredObject[] }

export type PlannedExhibit = {
  from: ContentsOfExhibit
  folder: string
  media: PlannedFile
  viewingCopy: PlannedFile | null
  /** In this folder, or in that of another exhibit which holds the same file. */
  original: PlannedFile | null
  /** What is written into the folder, in order. */
  files: PlannedFile[]
  playable: boolean
}

const originalOf = ({ id, objectVersion, size, sha256 }: RecordingRow): StoredObject => {
  if (sha256 === null || objectVersion === null) throw new Error('only what is in custody is disclosed')
  return { bucket: 'originals', key: originalKey(id), version: objectVersion, size, sha256 }
}

const typeOf = ({ mediaType }: RecordingRow): string => mediaType ?? 'application/octet-stream'

const whole = (path: string, recording: RecordingRow): PlannedFile => {
  const object = originalOf(recording)
  return { path, made: 'original', mediaType: typeOf(recording), size: object.size, objects: [object] }
}

const excerpt = (path: string, { clip }: ContentsOfExhibit): PlannedFile => {
  if (clip === null || clip.attempt === null || clip.sha256 === null || clip.size === null)
    throw new Error('a clip that is ready without its file')
  const { id, recording, attempt, size, sha256 } = clip
  const object: StoredObject = { bucket: 'derived', key: clipKey(recording, id, attempt), size, sha256 }
  return { path, made: 'clip', mediaType: 'video/mp4', size, objects: [object] }
}

const copyName = 'viewing-copy.mp4'
export const provenanceName = 'provenance.json'
export const statementName = 'continuity.pdf'

/** The beginning and the segments of the form that a browser plays, one after the other, are a file that it plays. */
const copied = (folder: string, { recording, hls }: Held): PlannedFile | null => {
  if (hls === null || hls.pieces.length === 0) return null
  const objects = hls.pieces.map(
    ({ name, size, sha256 }): StoredObject => ({
      bucket: 'derived',
      key: renditionKey(recording.id, hls.row.id, name),
      size,
      sha256,
    }),
  )
  const size = objects.reduce((sum, each) => sum + each.size, 0)
  return { path: `${folder}/${copyName}`, made: 'viewing-copy', mediaType: 'video/mp4', size, objects }
}

/** Which files a bundle holds, under which names: a pure function, so that every attempt writes the same. */
export const planOf = ({ bundle, exhibits }: Contents): PlannedExhibit[] => {
  const folders = safeNames(
    exhibits.map(({ exhibit }) => exhibit.reference),
    'exhibit',
  ).map((name) => `data/exhibits/${name}`)
  const originals = new Map<RecordingId, PlannedFile>()
  const planned = exhibits.map((from, at): PlannedExhibit => {
    const folder = folders[at] ?? ''
    const { recording } = from.held
    const taken = [copyName, provenanceName, statementName]
    const called = namedAs(recording.filename, recording.mediaType)
    const clipName = namedAs(`${recording.filename.replace(/\.[^.]*$/, '')}-clip.mp4`, 'video/mp4')
    const [name = ''] = safeNames([from.clip === null ? called : clipName], 'media', taken)
    const media = from.clip === null ? whole(`${folder}/${name}`, recording) : excerpt(`${folder}/${name}`, from)
    const playable = from.clip !== null || playsInBrowsers(recording)
    const viewingCopy = playable ? null : copied(folder, from.held)
    if (from.clip === null && !originals.has(recording.id)) originals.set(recording.id, media)
    const files = [media, ...(viewingCopy === null ? [] : [viewingCopy])]
    return { from, folder, media, viewingCopy, original: null, files, playable }
  })
  if (!bundle.includeOriginals) return planned
  return planned.map((exhibit) => {
    if (exhibit.from.clip === null) return exhibit
    const { recording } = exhibit.from.held
    // A recording that is there already, as an exhibit or beside another clip of it, is not there twice.
    const known = originals.get(recording.id)
    if (known !== undefined) return { ...exhibit, original: known }
    const called = `original-${namedAs(recording.filename, recording.mediaType)}`
    const taken = exhibit.files.map(({ path }) => path.slice(path.lastIndexOf('/') + 1))
    const [name = ''] = safeNames([called], 'original', [...taken, provenanceName, statementName])
    const original = whole(`${exhibit.folder}/${name}`, recording)
    originals.set(recording.id, original)
    return { ...exhibit, original, files: [...exhibit.files, original] }
  })
}
