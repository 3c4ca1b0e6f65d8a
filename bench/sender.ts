import { randomBytes, randomFillSync } from 'node:crypto'
import { S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { Value } from 'typebox/value'
import { type Done, Task } from './task.ts'
import { uploadByTus } from './tus-client.ts'

/**
 * The sending side, a process of its own, so that its processor time is nobody else's. It sends from memory: reading a
 * disk would cost every contender the same and only blur the figures.
 */

const content = randomFillSync(Buffer.allocUnsafeSlow(576 * 1024 * 1024))

/** Bytes for the file of this index; begins elsewhere for each. */
const bytesOf = (index: number, size: number): Buffer => {
  const start = (index * 65_537) % (content.length - size)
  return content.subarray(start, start + size)
}

const sendOne = (task: Task): ((index: number, size: number) => Promise<string>) => {
  if (task.kind === 'tus') {
    const run = randomBytes(4).toString('hex')
    return async (index, size) =>
      await uploadByTus({
        endpoint: task.endpoint,
        token: task.tokens[index % task.tokens.length] ?? '',
        camera: `BENCH-${run}-${index}`,
        bytes: bytesOf(index, size),
        chunk: task.chunk,
      })
  }
  const client = new S3Client({
    endpoint: task.endpoint,
    region: task.region,
    forcePathStyle: true,
    credentials: { accessKeyId: task.accessKey, secretAccessKey: task.secretKey },
    // As our own: this store knows no other checksums, and the peer is spared their cost.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  return async (index, size) => {
    const Key = `sdk/${randomBytes(8).toString('hex')}`
    const params = { Bucket: task.bucket, Key, Body: bytesOf(index, size) }
    await new Upload({ client, params, partSize: task.partSize }).done()
    return Key
  }
}

const perform = async (task: Task): Promise<Done> => {
  const send = sendOne(task)
  const addresses: string[] = []
  let next = 0
  const line = async (): Promise<void> => {
    for (let index = next++; index < task.sizes.length; index = next++) {
      addresses[index] = await send(index, task.sizes[index] ?? 0)
    }
  }
  const cpu = process.cpuUsage()
  const began = performance.now()
  await Promise.all(Array.from({ length: task.atOnce }, line))
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, cpuSeconds: (user + system) / 1e6, addresses }
}

process.on('message', (task) => {
  if (!Value.Check(Task, task)) throw new Error('the task is none')
  perform(task)
    .catch((error: unknown): Done => ({ seconds: 0, cpuSeconds: 0, addresses: [], error: String(error) }))
    .then((done) => process.send?.(done))
})
process.on('disconnect', () => process.exit(0))
