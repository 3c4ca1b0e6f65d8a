import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { CollarNumber, Digest } from '../../base/ids.ts'
import { Time } from '../../base/time.ts'
import { Failure } from '../failure.ts'

export const sidecarName = 'exhibit-dock.json'

/** What a camera or its dock knows of a file better than the file system does. All of it is optional. */
const Known = Type.Object(
  {
    recordedAt: Type.Optional(Time),
    number: Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999_999_999_999 })),
    sequence: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    sha256: Type.Optional(Digest),
    officer: Type.Optional(CollarNumber),
    category: Type.Optional(Type.String({ minLength: 1 })),
    incident: Type.Optional(Type.String({ minLength: 1 })),
  },
  { additionalProperties: false },
)
const Sidecar = Type.Record(Type.String(), Known)
export type KnownOfFile = Static<typeof Known>

/** For `--help`. */
export const sidecarHelp = `
FOLDER may hold ${sidecarName}, which tells of files by their names (relative to FOLDER) what the camera knows of them:
  { "BWC_0042.MP4": { "recordedAt": "2026-11-25T22:15:00Z", "number": 42, "sequence": "event-7", "sha256": "…",
                      "officer": "4217", "category": "…", "incident": "…" } }
Every member may be left out. Without recordedAt the time of the file's last change is taken. A sha256 is the camera's own
word: it is what is declared, and a receipt is still compared with the digest that was computed here.`

/** What the sidecar tells, by file name. Throws Failure when there is one that cannot be read. */
export const readSidecar = async (folder: string): Promise<Map<string, KnownOfFile>> => {
  const file = path.join(folder, sidecarName)
  let document: unknown
  try {
    document = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map()
    if (!(error instanceof SyntaxError)) throw error
  }
  if (Value.Check(Sidecar, document)) return new Map(Object.entries(document))
  const [first] = Value.Errors(Sidecar, document)
  throw new Failure(
    `${file} is not what it should be${first === undefined ? '' : ` at ${first.instancePath || '/'}: ${first.message}`}.`,
  )
}
