import { Value } from 'typebox/value'
import { IdOf, type RecordingId, type UploadId } from '../src/base/ids.ts'
import { completeObject } from '../src/uploads/completion.ts'
import { uploadById } from '../src/uploads/queries.ts'
import { originalKey } from '../src/uploads/upload.ts'
import type { Installation } from './installation.ts'
import { type ObjectAt, objectAt } from './presigned.ts'
import type { Stack } from './stack.ts'
import { perform } from './task.ts'

/** The id at the end of an upload's address. */
export const uploadIn = (address: string): UploadId => {
  const id = address.split('/').at(-1)
  if (Value.Check(IdOf.upload, id)) return id
  throw new Error('an upload without an id')
}

/** Where the original of this recording lies, for those who go there by themselves. */
export const placeOf = (stack: Stack, installation: Installation, recording: RecordingId): ObjectAt =>
  objectAt(stack, installation, 'originals', originalKey(recording))

/** Brings one original into the store, through the api. */
export const storeOne = async (stack: Stack, installation: Installation, size: number) => {
  const { engines, url } = installation
  const [dock] = await installation.docks(1)
  if (dock === undefined) throw new Error('no dock')
  const endpoint = `${url}/api/v1/uploads`
  const chunk = 32 * 1024 * 1024
  const { places } = await perform(stack.sender, {
    kind: 'tus',
    endpoint,
    tokens: [await dock.token()],
    chunk,
    begun: false,
    sizes: [size],
    atOnce: 1,
  })
  const id = uploadIn(places[0] ?? '')
  const object = await completeObject(engines, id)
  const upload = await uploadById(engines.db, id)
  if (object === null || upload === undefined) throw new Error('the original is not there')
  return { recording: upload.recording, version: object.version, at: placeOf(stack, installation, upload.recording) }
}
