import type { Handler } from '../src/jobs/catalogue.ts'
import { clearUpload as clear } from '../src/uploads/completion.ts'

export const clearUpload: Handler<'clear-upload'> = async (engines, { uploadId }) => {
  await clear(engines, uploadId)
  return { outcome: 'done' }
}
