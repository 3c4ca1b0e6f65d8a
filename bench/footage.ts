import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const pieceSeconds = 20
const quiet = ['-v', 'error', '-nostdin', '-y']

/** ffmpeg, run to its end. */
export const ffmpeg = async (...words: string[]): Promise<void> => {
  await run('ffmpeg', [...quiet, ...words])
}

type Kind = { size: string; rate: number; codec: 'libx264' | 'libx265' }
const usual: Kind = { size: '1920x1080', rate: 5, codec: 'libx264' }

/**
 * A camera's footage with sound, `minutes` of it; by default 1080p of H.264 at 5 Mbit/s. Twenty seconds are encoded once and
 * repeated. Answers its path.
 */
export const makeFootage = async (folder: string, minutes: number, kind: Partial<Kind> = {}): Promise<string> => {
  const { size, rate, codec } = { ...usual, ...kind }
  const name = `${codec}-${size}-${rate}`
  const [piece, whole] = [join(folder, `${name}.mp4`), join(folder, `${name}-${minutes}.mp4`)]
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `testsrc2=s=${size}:r=30:d=${pieceSeconds},noise=alls=12:allf=t`],
    ...['-f', 'lavfi', '-i', `sine=d=${pieceSeconds}`],
    ...['-c:v', codec, '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '60'],
    ...['-b:v', `${rate}M`, '-maxrate', `${rate * 1.2}M`, '-bufsize', `${rate * 1.2}M`, '-c:a', 'aac', piece],
  )
  await ffmpeg('-stream_loop', String((minutes * 60) / pieceSeconds - 1), '-i', piece, '-c', 'copy', whole)
  return whole
}
