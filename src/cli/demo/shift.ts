import { constants, copyFile, mkdir, readdir, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Ffmpeg } from '../../engines/ffmpeg.ts'
import type { Scratch } from '../../engines/scratch.ts'
import { sidecarName } from '../dock/sidecar.ts'
import { Failure } from '../failure.ts'
import { type Footage, makeFootage } from './footage.ts'

/** A camera in its bay: a folder with its files and what the camera knows of them. */
export type Docked = { camera: string; officer: string; folder: string; files: string[] }

type Tools = { ffmpeg: Ffmpeg; scratch: Scratch }
type Made = Omit<Footage, 'path' | 'camera'> & {
  name: string
  number: number
  says: string
  category?: string
  cutBytes?: number
  declared?: string
}

const minutesAgo = (minutes: number): Date => new Date(Math.floor((Date.now() - minutes * 60_000) / 1000) * 1000)

/** Two officers' shift: what usually comes in, and what every system must be able to live with. */
const shift: { camera: string; officer: string; files: Made[] }[] = [
  {
    camera: 'BWC-0417',
    officer: 'PC1001',
    files: [
      { name: 'BWC_0041.MP4', number: 41, says: 'a long one', seconds: 30, bitsPerSecond: 10_000_000 },
      {
        name: 'BWC_0042.MP4',
        number: 42,
        says: 'pre-record: its first ten seconds are silent',
        seconds: 20,
        sound: { silentUntil: 10 },
      },
      {
        name: 'BWC_0043.MP4',
        number: 43,
        says: 'the battery died: cut off at its end',
        seconds: 12,
        layout: 'fragmented',
        cutBytes: 20_000,
      },
    ],
  },
  {
    camera: 'BWC-0533',
    officer: 'PC1002',
    files: [
      {
        name: 'BWC_0107.MP4',
        number: 107,
        says: 'with a position',
        category: 'training',
        seconds: 10,
        location: '+51.5007-000.1246/',
      },
      {
        name: 'BWC_0108.MP4',
        number: 108,
        says: 'its camera declares a digest that is not the file’s',
        seconds: 8,
        declared: 'ab'.repeat(32),
      },
      { name: 'BWC_0110.MP4', number: 110, says: 'number 109 is missing', category: 'training', seconds: 10 },
    ],
  },
]

const makeOne = async (
  tools: Tools,
  camera: string,
  folder: string,
  made: Made,
  startsAt: Date,
  signal: AbortSignal,
): Promise<void> => {
  const { name, number: _number, says: _says, category: _category, cutBytes, declared: _declared, ...footage } = made
  const file = path.join(folder, name)
  await makeFootage(tools, { ...footage, path: file, camera, startsAt }, signal)
  if (cutBytes !== undefined) await truncate(file, (await stat(file)).size - cutBytes)
}

/** Makes body-worn-like footage of two cameras under `root`. */
export const makeShift = async (
  tools: Tools,
  root: string,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<Docked[]> => {
  const docked: Docked[] = []
  for (const { camera, officer, files } of shift) {
    const folder = path.join(root, camera)
    await mkdir(folder, { recursive: true })
    const known: Record<string, object> = {}
    for (const [at, made] of files.entries()) {
      const startsAt = minutesAgo(240 - at * 30)
      await makeOne(tools, camera, folder, made, startsAt, signal)
      known[made.name] = {
        recordedAt: startsAt.toISOString(),
        number: made.number,
        ...(made.category === undefined ? {} : { category: made.category }),
        ...(made.declared === undefined ? {} : { sha256: made.declared }),
      }
      tell(`${camera} ${made.name}: ${made.says}`)
    }
    await writeFile(path.join(folder, sidecarName), JSON.stringify(known, null, 2))
    docked.push({ camera, officer, folder, files: files.map(({ name }) => name) })
  }
  return docked
}

/** Copies the files of the reader's own folder into two bays under `root`; the folder itself is only read. */
export const dockFolder = async (source: string, root: string, tell: (line: string) => void): Promise<Docked[]> => {
  const entries = await readdir(source, { withFileTypes: true })
  const names = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort()
  if (names.length === 0) throw new Failure(`There is no file in ${source}: name a folder of videos, or none at all.`)
  const bays = shift.map(({ camera, officer }) => ({
    camera,
    officer,
    folder: path.join(root, camera),
    files: [] as string[],
  }))
  for (const [at, name] of names.entries()) {
    const bay = bays[at % bays.length]
    if (bay === undefined) continue
    await mkdir(bay.folder, { recursive: true })
    await copyFile(path.join(source, name), path.join(bay.folder, name), constants.COPYFILE_FICLONE)
    bay.files.push(name)
    tell(`${bay.camera} ${name}`)
  }
  return bays.filter(({ files }) => files.length > 0)
}
