import { spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'

const versionIn = (program: string, args: string[], pattern: RegExp): string => {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' })
  return pattern.exec(stdout ?? '')?.[1] ?? 'not found'
}

/** What the figures were taken on, and how busy it was just then. */
export const describeMachine = (): string => {
  const [processor] = cpus()
  const gib = Math.round(totalmem() / 1024 ** 3)
  const load = loadavg().map((value) => value.toFixed(1))
  const versions = [
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
    `Ceph ${versionIn('radosgw', ['--version'], /ceph version (\S+)/)}`,
    `Redis ${versionIn('redis-server', ['--version'], /v=(\S+)/)}`,
    `ffmpeg ${versionIn('ffmpeg', ['-version'], /ffmpeg version (\S+)/)}`,
    `OpenSSL ${versionIn('openssl', ['version'], /OpenSSL (\S+)/)}`,
    `curl ${versionIn('curl', ['--version'], /curl (\S+)/)}`,
  ]
  return `${processor?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${gib} GiB; ${versions.join(', ')}; load before it ${load.join(' ')}`
}
