import type { TestProject } from 'vitest/node'
import { startContainers } from './containers.ts'
import { type Prepared, prepareServers } from './engines.ts'
import { type Servers, type StartedServers, startEmbedded } from './servers.ts'

declare module 'vitest' {
  class ProvidedContext {
    prepared: Prepared
  }
}

const fromEnvironment = (env: NodeJS.ProcessEnv): Servers | undefined => {
  const { TEST_DATABASE_OWNER_URL: ownerUrl, TEST_DATABASE_URL: appUrl, TEST_REDIS_URL: redisUrl } = env
  const { TEST_S3_ENDPOINT: endpoint, TEST_S3_ACCESS_KEY: accessKey, TEST_S3_SECRET_KEY: secretKey } = env
  if (!ownerUrl || !appUrl || !redisUrl || !endpoint || !accessKey || !secretKey) return undefined
  return {
    ownerUrl,
    appUrl,
    redisUrl,
    s3: { endpoint, region: env.TEST_S3_REGION ?? 'us-east-1', accessKey, secretKey },
  }
}

/** From the environment's addresses when given, from containers when a Docker engine answers, else the embedded engines. */
const startServers = async (): Promise<StartedServers> => {
  const given = fromEnvironment(process.env)
  if (given !== undefined) return { servers: given, stop: async () => undefined }
  return (await startContainers()) ?? (await startEmbedded())
}

/** One set of servers for all ordinary test files: started, its buckets made, one database migrated as their template. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const started = await startServers()
  try {
    project.provide('prepared', await prepareServers(started.servers))
  } catch (error) {
    await started.stop()
    throw error
  }
  return started.stop
}
