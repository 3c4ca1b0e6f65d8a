import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers'
import type { StartedServers } from './servers.ts'

const secret = 'exhibit-test-secret'

const address = (container: StartedTestContainer, port: number): string =>
  `${container.getHost()}:${container.getMappedPort(port)}`

const makeRoles = [
  `create role exhibit_owner login createdb password '${secret}'`,
  `create role exhibit_app login password '${secret}'`,
].join('; ')

/** Postgres, Valkey and an S3 server from Docker, where an engine answers; undefined where none does. */
export const startContainers = async (): Promise<StartedServers | undefined> => {
  try {
    await getContainerRuntimeClient()
  } catch {
    return undefined
  }
  const [postgres, valkey, s3] = await Promise.all([
    new GenericContainer('postgres:18')
      .withEnvironment({ POSTGRES_PASSWORD: secret })
      .withExposedPorts(5432)
      .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
      .start(),
    new GenericContainer('valkey/valkey:8')
      .withCommand(['valkey-server', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
      .withExposedPorts(6379)
      .start(),
    new GenericContainer('versity/versitygw:latest')
      .withEnvironment({ ROOT_ACCESS_KEY: 'exhibit', ROOT_SECRET_KEY: secret })
      .withCommand(['--port', ':7070', 'posix', '--versioning-dir', '/var/lib/versions', '/var/lib/objects'])
      .withTmpFs({ '/var/lib/versions': 'rw', '/var/lib/objects': 'rw' })
      .withExposedPorts(7070)
      .start(),
  ])
  const made = await postgres.exec(['psql', '-U', 'postgres', '-c', makeRoles])
  if (made.exitCode !== 0) throw new Error(`The roles could not be made: ${made.output}`)
  const url = (role: string) => `postgres://${role}:${secret}@${address(postgres, 5432)}/postgres`
  return {
    servers: {
      ownerUrl: url('exhibit_owner'),
      appUrl: url('exhibit_app'),
      redisUrl: `redis://${address(valkey, 6379)}`,
      s3: { endpoint: `http://${address(s3, 7070)}`, region: 'us-east-1', accessKey: 'exhibit', secretKey: secret },
    },
    stop: async () => {
      await Promise.all([postgres.stop(), valkey.stop(), s3.stop()])
    },
  }
}
