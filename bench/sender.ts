import { randomBytes } from 'node:crypto'
import { createReadStream, openSync, readFileSync, readSync } from 'node:fs'
import { Agent } from 'node:http'
import { S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { Value } from 'typebox/value'
import { type Done, Task } from './task.ts'
import { createUpload, type Slice, sendFile } from './tus-client.ts'

/**
 * The sending side, a process of its own, so that its processor time is nobody else's. Its files are pieces of one file of
 * random bytes, which the kernel holds in memory.
 */

const path = process.env.BENCH_CONTENT ?? ''
const file = openSync(path, 'r')
const length = readFileSync(path).length
const streamBuffer = 1024 * 1024

/** Begins elsewhere for each, so that no two are alike. */
const sliceOf = (index: number, size: number): Slice => ({ file, start: (index * 65_537) % (length - size + 1), size })

const inMemory = ({ start, size }: Slice): Buffer => {
  const bytes = Buffer.allocUnsafeSlow(size)
  for (let at = 0; at < size; ) at += readSync(file, bytes, at, size - at, start + at)
  return bytes
}

/** `prepare` is not measured. */
type Sending = { prepare(): Promise<void>; send(index: number): Promise<string>; close(): void }

const byTus = (task: Extract<Task, { kind: 'tus' }>): Sending => {
  const { endpoint, tokens, sizes, chunk, begun } = task
  const run = randomBytes(4).toString('hex')
  // New connections for each task: between two a kept one may be closed by the other side.
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const dockOf = (index: number) => ({ endpoint, agent, token: tokens[index % tokens.length] ?? '', chunk })
  const create = async (index: number) => await createUpload(dockOf(index), `BENCH-${run}-${index}`, sizes[index] ?? 0)
  const urls: URL[] = []
  return {
    prepare: async () => {
      if (begun) urls.push(...(await Promise.all(sizes.map((_, index) => create(index)))))
    },
    send: async (index) => {
      const url = urls[index] ?? (await create(index))
      await sendFile(dockOf(index), url, sliceOf(index, sizes[index] ?? 0))
      return url.href
    },
    close: () => agent.destroy(),
  }
}

const bySdk = (task: Extract<Task, { kind: 'sdk' }>): Sending => {
  const client = new S3Client({
    endpoint: task.endpoint,
    region: task.region,
    forcePathStyle: true,
    credentials: { accessKeyId: task.accessKey, secretAccessKey: task.secretKey },
    // The store knows no other checksums; without them the SDK has less to do.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const memory: Buffer[] = []
  const streamOf = (index: number) => {
    const { start, size } = sliceOf(index, task.sizes[index] ?? 0)
    return createReadStream(path, { start, end: start + size - 1, highWaterMark: streamBuffer })
  }
  return {
    prepare: async () => {
      if (task.from === 'memory') memory.push(...task.sizes.map((size, index) => inMemory(sliceOf(index, size))))
    },
    send: async (index) => {
      const Key = `${task.prefix}${randomBytes(8).toString('hex')}`
      const params = { Bucket: task.bucket, Key, Body: memory[index] ?? streamOf(index) }
      await new Upload({ client, params, partSize: task.partSize }).done()
      return Key
    },
    close: () => client.destroy(),
  }
}

const perform = async (task: Task): Promise<Done> => {
  const { prepare, send, close } = task.kind === 'tus' ? byTus(task) : bySdk(task)
  await prepare()
  const places: string[] = []
  let next = 0
  const line = async (): Promise<void> => {
    for (let index = next++; index < task.sizes.length; index = next++) places[index] = await send(index)
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: task.atOnce }, line))
  const seconds = (performance.now() - began) / 1000
  close()
  return { seconds, places }
}

process.on('message', (task) => {
  if (!Value.Check(Task, task)) throw new TypeError('this is no task')
  perform(task).then(
    (done) => process.send?.(done),
    (error: unknown) => process.send?.({ seconds: 0, places: [], error: String(error) } satisfies Done),
  )
})
process.on('disconnect', () => process.exit(0))
