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

/**
 * 1080p of H.264 with AAC at 5 Mbit/s, `minutes` of it: twenty seconds are encoded once and repeated. Answers its path.
 */
export const makeFootage = async (folder: string, minutes: number): Promise<string> => {
  const [piece, whole] = [join(folder, 'piece.mp4'), join(folder, `footage-${minutes}.mp4`)]
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `testsrc2=s=1920x1080:r=30:d=${pieceSeconds},noise=alls=12:allf=t`],
    ...['-f', 'lavfi', '-i', `sine=d=${pieceSeconds}`],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '60'],
    ...['-b:v', '5M', '-maxrate', '6M', '-bufsize', '6M', '-c:a', 'aac', piece],
  )
  await ffmpeg('-stream_loop', String((minutes * 60) / pieceSeconds - 1), '-i', piece, '-c', 'copy', whole)
  return whole
}
