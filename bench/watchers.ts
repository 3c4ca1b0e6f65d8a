import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Fetches every address as fast as it can, so many at once, by curl, which keeps none of it. Answers the seconds. */
export const fetchAll = async (folder: string, urls: string[], atOnce: number): Promise<number> => {
  const list = join(folder, 'urls')
  writeFileSync(list, urls.map((url) => `url = "${url}"\noutput = "/dev/null"\n`).join(''))
  const began = performance.now()
  const flags = ['--no-progress-meter', '--fail-early', '--fail', '--parallel', '--parallel-immediate']
  const curl = spawn('curl', [...flags, '--parallel-max', String(atOnce), '--config', list], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(curl, 'exit')
  const seconds = (performance.now() - began) / 1000
  rmSync(list)
  if (code !== 0) throw new Error(`curl ended with ${code}`)
  return seconds
}

const fetchOne = async (url: string, agent: Agent): Promise<number> =>
  await new Promise((resolve, reject) => {
    const began = performance.now()
    get(url, { agent }, (response) => {
      response.resume()
      response.on('end', () =>
        response.statusCode === 200
          ? resolve((performance.now() - began) / 1000)
          : reject(new Error(`a segment was answered with ${response.statusCode}`)),
      )
    }).on('error', reject)
  })

/**
 * Each viewer fetches its addresses one after the other, one every `every` seconds, as a player does that is ahead enough;
 * they begin spread over the first period. Answers the seconds that each fetch took.
 */
export const watchAtEase = async (viewers: string[][], every: number): Promise<number[]> => {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const took: number[] = []
  const began = performance.now()
  const one = async (urls: string[], index: number): Promise<void> => {
    for (const [turn, url] of urls.entries()) {
      const due = ((index / viewers.length + turn) * every - (performance.now() - began) / 1000) * 1000
      if (due > 0) await delay(due)
      took.push(await fetchOne(url, agent))
    }
  }
  try {
    await Promise.all(viewers.map(one))
  } finally {
    agent.destroy()
  }
  return took
}
