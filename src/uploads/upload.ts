import type { RecordingId, UploadId } from '../base/ids.ts'

const mib = 1024 * 1024

/** Part size in bytes: `smallest`, or as much more (whole MiB) as it takes that 1,000 parts hold the file. */
export const partSizeFor = (size: number, smallest: number): number =>
  Math.max(smallest, Math.ceil(size / 1000 / mib) * mib)

/** Part numbers count from 1; part n covers the bytes [start, end) of a file of `size` bytes. */
export const partAt = (position: number, partSize: number, size: number) => {
  const number = Math.floor(position / partSize) + 1
  return { number, start: (number - 1) * partSize, end: Math.min(number * partSize, size) }
}

/** Key of an original. It carries the recording's id, so none is written twice. */
export const originalKey = (recording: RecordingId): string => `recordings/${recording}`

/** Prefix of an upload's tails in staging. */
export const stagingPrefix = (upload: UploadId): string => `uploads/${upload}/`

/** Keys of two writers never collide, so a late write of a replaced one harms nothing. */
export const tailKey = (upload: UploadId, start: number, writer: number): string =>
  `${stagingPrefix(upload)}${start}-${writer}`
