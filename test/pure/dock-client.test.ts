import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DockId, newId } from '../../src/base/ids.ts'
import { afterBreak, afterSuccess, chunkEnd, mib, startChunks } from '../../src/cli/dock/chunk.ts'
import { sha256OfFile } from '../../src/cli/dock/digest.ts'
import { isUnchanged, look } from '../../src/cli/dock/folder.ts'
import { type Http, makeHttp } from '../../src/cli/dock/http.ts'
import { reach, readUrl } from '../../src/cli/dock/installation.ts'
import { makeLimiter } from '../../src/cli/dock/limiter.ts'
import { isRacy, openMemory } from '../../src/cli/dock/memory.ts'
import { readRetryAfter } from '../../src/cli/dock/refusal.ts'
import { retryDelay } from '../../src/cli/dock/retry.ts'
import { readSidecar } from '../../src/cli/dock/sidecar.ts'
import { makeSlots } from '../../src/cli/dock/slots.ts'
import { dockCaller } from '../../src/cli/dock/token.ts'

let place: string
let folder: string
let count = 0
beforeAll(async () => {
  place = await mkdtemp(path.join(tmpdir(), 'exhibit-dock-'))
})
beforeEach(async () => {
  count++
  folder = path.join(place, String(count))
  await mkdir(folder)
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

const hourAgo = new Date(Date.now() - 3_600_000)
const file = async (name: string, content = name, at = hourAgo): Promise<void> => {
  await writeFile(path.join(folder, name), content)
  await utimes(path.join(folder, name), at, at)
}

describe('the size of a chunk', () => {
  it('halves after each break, down to 1 MiB and no further', () => {
    let chunks = startChunks(32 * mib)
    const sizes = Array.from({ length: 7 }, () => {
      chunks = afterBreak(chunks, chunks.size)
      return chunks.size / mib
    })
    expect(sizes).toEqual([16, 8, 4, 2, 1, 1, 1])
  })

  it('halves once for files that lose the same link together', () => {
    const tried = 32 * mib
    const chunks = [1, 2, 3, 4].reduce((now) => afterBreak(now, tried), startChunks(tried))
    expect(chunks.size).toBe(16 * mib)
  })

  it('grows again after four chunks in a row got through, up to where it began', () => {
    let chunks = afterBreak(startChunks(4 * mib), 2 * mib)
    const sizes = Array.from({ length: 12 }, () => {
      chunks = afterSuccess(chunks)
      return chunks.size / mib
    })
    expect(sizes).toEqual([1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4])
  })

  it('brings the next chunk to an end at a multiple of itself, or at the end of the file', () => {
    const chunks = startChunks(16 * mib)
    expect(chunkEnd(chunks, 0, 100 * mib)).toBe(16 * mib)
    expect(chunkEnd(chunks, 17 * mib, 100 * mib)).toBe(32 * mib)
    expect(chunkEnd(chunks, 96 * mib, 100 * mib)).toBe(100 * mib)
  })
})

describe('the bandwidth limit', () => {
  it('lets bytes go at the rate on average, whoever asks', () => {
    let now = 0
    const wait = makeLimiter(1000, () => now)
    expect([wait(500), wait(500), wait(1000)]).toEqual([0, 500, 1000])
    now = 10_000
    expect([wait(100), wait(100)]).toEqual([0, 100])
  })
})

describe('trying again', () => {
  it('waits longer each time, with jitter, up to half a minute', () => {
    expect([1, 2, 3, 10].map((failures) => retryDelay(failures, 0, 1))).toEqual([500, 1000, 2000, 30_000])
    expect(retryDelay(3, 0, 0)).toBe(1000)
  })

  it('never comes back before it was asked to', () => {
    expect(retryDelay(1, 7000, 0.5)).toBe(7000)
    expect(readRetryAfter('7', 0)).toBe(7000)
    expect(readRetryAfter('Wed, 25 Nov 2026 22:15:10 GMT', Date.parse('2026-11-25T22:15:00Z'))).toBe(10_000)
    expect([readRetryAfter(undefined, 0), readRetryAfter('soon', 0), readRetryAfter('-5', 1e15)]).toEqual([0, 0, 0])
  })
})

describe('several files at once', () => {
  it('are never more than allowed, and begin in their order', async () => {
    const slots = makeSlots(2)
    const begun: number[] = []
    let running = 0
    let most = 0
    await Promise.all(
      [0, 1, 2, 3, 4].map(async (each) => {
        await slots(async () => {
          begun.push(each)
          most = Math.max(most, ++running)
          await new Promise(setImmediate)
          running--
          if (each === 1) throw new Error('a file that fails gives its place back')
        }).catch(() => undefined)
      }),
    )
    expect({ most, begun }).toEqual({ most: 2, begun: [0, 1, 2, 3, 4] })
  })
})

const privateKey = {
  kty: 'OKP' as const,
  crv: 'Ed25519' as const,
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
}
const publicKey = { kty: privateKey.kty, crv: privateKey.crv, x: privateKey.x }

describe("a dock's token", () => {
  const dock = newId<DockId>()
  const read = async (token: string, now: number) => {
    const keys = createLocalJWKSet({ keys: [{ ...publicKey, kid: dock, alg: 'EdDSA' }] })
    return await jwtVerify(token, keys, { issuer: dock, audience: 'exhibit', currentDate: new Date(now) })
  }

  it('is signed with its own key, lives ten minutes at most, and is made anew before it ends', async () => {
    let now = Date.parse('2026-11-25T22:15:00Z')
    const caller = dockCaller(
      { dock, privateKey },
      () => undefined,
      () => now,
    )
    const first = await caller.token()
    const { payload, protectedHeader } = await read(first, now)
    expect(protectedHeader).toEqual({ alg: 'EdDSA', kid: dock })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBeLessThanOrEqual(600)
    now += 60_000
    expect(await caller.token()).toBe(first)
    now = (payload.exp ?? 0) * 1000 - 30_000
    const second = await caller.token()
    expect(second).not.toBe(first)
    await read(second, now + 60_000)
  })

  it("follows the installation's clock once it was told of it", async () => {
    const now = Date.parse('2001-01-01T00:00:00Z')
    const skews: number[] = []
    const caller = dockCaller(
      { dock, privateKey },
      (seconds) => skews.push(seconds),
      () => now,
    )
    const there = new Date('2026-11-25T22:15:00Z')
    await caller.token()
    caller.correct(there)
    await read(await caller.token(), there.getTime())
    expect(skews).toEqual([(there.getTime() - now) / 1000])
  })
})

describe('an address that the installation gave', () => {
  it('is followed there only, so that no token goes anywhere else', async () => {
    const asked: string[] = []
    const http: Http = {
      ...makeHttp(),
      send: async ({ url }) => {
        asked.push(url.href)
        return { status: 204, headers: {}, text: '' }
      },
    }
    const there = reach(http, 'https://exhibit.example.org', { token: async () => 'secret' })
    await there.call({ method: 'HEAD', to: 'https://elsewhere.example.com/api/v1/uploads/7' })
    await there.call({ method: 'POST', to: '/docks/manifests' })
    expect(asked).toEqual([
      'https://exhibit.example.org/api/v1/uploads/7',
      'https://exhibit.example.org/api/v1/docks/manifests',
    ])
  })

  it('is read as it was typed, with or without the path of the interface', () => {
    expect(readUrl('https://exhibit.example.org/')).toBe('https://exhibit.example.org')
    expect(readUrl('http://127.0.0.1:8080/api/v1/')).toBe('http://127.0.0.1:8080')
    for (const wrong of ['exhibit', 'ftp://exhibit.example.org', 'file:///etc/passwd']) {
      expect(() => readUrl(wrong)).toThrow('is not an address')
    }
  })
})

describe("a camera's folder", () => {
  it('is its regular files, the oldest first; links are named and never followed', async () => {
    await mkdir(path.join(folder, 'DCIM'))
    await file('b.mp4')
    await file('DCIM/a.mp4', '', new Date(hourAgo.getTime() - 1000))
    await file('.hidden')
    await file('exhibit-dock.json', '{}')
    await symlink('/etc', path.join(folder, 'etc'))
    await symlink('b.mp4', path.join(folder, 'c.mp4'))
    const { files, passedOver } = await look(folder)
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      ['DCIM/a.mp4', 0],
      ['b.mp4', 5],
    ])
    expect(passedOver.sort()).toEqual(['c.mp4', 'etc'])
  })

  it('shows when a file changed, in its size or only in its time', async () => {
    await file('a.mp4')
    const [found] = (await look(folder)).files
    if (found === undefined) throw new Error('the file was not found')
    expect(await isUnchanged(found)).toBe(true)
    await file('a.mp4', 'b.mp4', new Date(hourAgo.getTime() + 1))
    expect(await isUnchanged(found)).toBe(false)
  })

  it('may tell in a sidecar what the camera knows, and a wrong one is refused by name', async () => {
    expect(await readSidecar(folder)).toEqual(new Map())
    await file('exhibit-dock.json', '{"__proto__": {"number": 1}, "a.mp4": {"number": 42}}')
    expect((await readSidecar(folder)).get('a.mp4')).toEqual({ number: 42 })
    for (const wrong of ['{', '[]', '{"a.mp4": {"number": -1}}', '{"a.mp4": {"colour": "red"}}']) {
      await file('exhibit-dock.json', wrong)
      await expect(readSidecar(folder)).rejects.toThrow('exhibit-dock.json is not what it should be')
    }
  })
})

describe('what a dock remembers', () => {
  const notes: string[] = []
  const memory = async (more: { camera?: string; folder?: string } = {}) =>
    await openMemory({
      folder,
      keyFile: path.join(folder, '.key'),
      dock: 'dock',
      camera: 'BWC-1',
      note: (text) => notes.push(text),
      ...more,
    })
  const find = async () => {
    const [found] = (await look(folder)).files
    if (found === undefined) throw new Error('the file was not found')
    return found
  }
  const state = () => path.join(folder, '.exhibit-dock-state.json')

  it('is a digest by name, size and time of change, and the upload that was begun', async () => {
    await file('a.mp4')
    const found = await find()
    const digest = await sha256OfFile(found.path)
    const first = await memory()
    first.rememberDigest(found, digest)
    first.rememberUpload(found, 'https://exhibit.example.org/api/v1/uploads/7')
    await first.save()
    const second = await memory()
    expect(second.digest(found)).toBe(digest)
    expect(second.upload(found)).toBe('https://exhibit.example.org/api/v1/uploads/7')
    expect((await memory({ camera: 'BWC-2' })).upload(found)).toBeUndefined()
    await file('a.mp4', 'other', new Date(hourAgo.getTime() + 1))
    expect(second.digest(await find())).toBeUndefined()
    expect(await readdir(folder)).toEqual(['.exhibit-dock-state.json', 'a.mp4'])
  })

  it.each(['', '{"v":1,', '{"v":2}', '\0\0\0\0', '[]'])(
    'is made anew, with a note, when it is damaged: %j',
    async (damage) => {
      await file('a.mp4')
      await writeFile(state(), damage)
      notes.length = 0
      const anew = await memory()
      expect(notes).toEqual([expect.stringContaining('made anew')])
      const found = await find()
      expect(anew.digest(found)).toBeUndefined()
      anew.rememberDigest(found, await sha256OfFile(found.path))
      await anew.save()
      expect(JSON.parse(await readFile(state(), 'utf8')).files['a.mp4']).toBeDefined()
    },
  )

  it('is never half written, however often it is saved at once', async () => {
    await file('a.mp4')
    const found = await find()
    const digest = await sha256OfFile(found.path)
    const kept = await memory()
    kept.rememberDigest(found, digest)
    const saves = Array.from({ length: 20 }, async (_, each) => {
      kept.rememberUpload(found, `u${each}`)
      await kept.save()
      expect(JSON.parse(await readFile(state(), 'utf8')).files['a.mp4'].sha256).toBe(digest)
    })
    await Promise.all(saves)
    expect(JSON.parse(await readFile(state(), 'utf8')).files['a.mp4'].upload).toBe('u19')
  })

  it('holds a file called __proto__ like any other', async () => {
    await file('__proto__')
    const found = await find()
    const kept = await memory()
    kept.rememberDigest(found, await sha256OfFile(found.path))
    await kept.save()
    expect((await memory()).digest(found)).toBe(await sha256OfFile(found.path))
  })

  it('is no digest of a file that changed a moment ago: a change within the same tick would not show', async () => {
    await file('a.mp4', 'a', new Date())
    const found = await find()
    const kept = await memory()
    kept.rememberDigest(found, await sha256OfFile(found.path))
    expect(kept.digest(found)).toBeUndefined()
    expect(isRacy(found, found.mtime.getTime() + 2999)).toBe(true)
    expect(isRacy(found, found.mtime.getTime() + 3000)).toBe(false)
  })
})
