// @ts-check
// SHA-256 (FIPS 180-4) of a stream: what a browser has itself wants all of the bytes at once.

const words32 = (/** @type {string} */ hex) =>
  Int32Array.from(hex.trim().split(/\s+/), (word) => Number.parseInt(word, 16) | 0)

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const rounds = words32(`
  428a2f98 71374491 b5c0fbcf e9b5dba5 3956c25b 59f111f1 923f82a4 ab1c5ed5
  d807aa98 12835b01 243185be 550c7dc3 72be5d74 80deb1fe 9bdc06a7 c19bf174
  e49b69c1 efbe4786 0fc19dc6 240ca1cc 2de92c6f 4a7484aa 5cb0a9dc 76f988da
  983e5152 a831c66d b00327c8 bf597fc7 c6e00bf3 d5a79147 06ca6351 14292967
  27b70a85 2e1b2138 4d2c6dfc 53380d13 650a7354 766a0abb 81c2c92e 92722c85
  a2bfe8a1 a81a664b c24b8b70 c76c51a3 d192e819 d6990624 f40e3585 106aa070
  19a4c116 1e376c08 2748774c 34b0bcb5 391c0cb3 4ed8aa4a 5b9cca4f 682e6ff3
  748f82ee 78a5636f 84c87814 8cc70208 90befffa a4506ceb bef9a3f7 c67178f2
`)
/** The same of their square roots, of the first eight. */
const beginning = words32('6a09e667 bb67ae85 3c6ef372 a54ff53a 510e527f 9b05688c 1f83d9ab 5be0cd19')

/** @param {Int32Array} state @param {Int32Array} words @param {Uint8Array} bytes @param {number} from */
const compress = (state, words, bytes, from) => {
  for (let i = 0, at = from; i < 16; i++, at += 4) {
    words[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
  }
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15]
    const y = words[i - 2]
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0
  }
  let [a, b, c, d, e, f, g, h] = state
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const one = (h + s1 + ((e & f) ^ (~e & g)) + rounds[i] + words[i]) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + one) | 0
    d = c
    c = b
    b = a
    a = (one + two) | 0
  }
  state[0] += a
  state[1] += b
  state[2] += c
  state[3] += d
  state[4] += e
  state[5] += f
  state[6] += g
  state[7] += h
}

/** The digest of bytes that come piece by piece. */
export const makeSha256 = () => {
  const state = Int32Array.from(beginning)
  const words = new Int32Array(64)
  const held = new Uint8Array(64)
  let holding = 0
  let length = 0

  /** @param {Uint8Array} bytes */
  const update = (bytes) => {
    length += bytes.length
    let at = 0
    if (holding > 0) {
      at = Math.min(64 - holding, bytes.length)
      held.set(bytes.subarray(0, at), holding)
      holding += at
      if (holding < 64) return
      compress(state, words, held, 0)
      holding = 0
    }
    for (; at + 64 <= bytes.length; at += 64) compress(state, words, bytes, at)
    held.set(bytes.subarray(at))
    holding = bytes.length - at
  }

  return {
    update,
    /** Lower-case hex. Nothing may be added after it. */
    digest: () => {
      const bits = [Math.floor(length / 2 ** 29), (length << 3) >>> 0]
      const padding = new Uint8Array(holding < 56 ? 64 - holding : 128 - holding)
      padding[0] = 0x80
      new DataView(padding.buffer).setUint32(padding.length - 8, bits[0])
      new DataView(padding.buffer).setUint32(padding.length - 4, bits[1])
      update(padding)
      return [...state].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
    },
  }
}

/** @param {...Uint8Array} pieces */
export const sha256 = (...pieces) => {
  const hash = makeSha256()
  for (const piece of pieces) hash.update(piece)
  return hash.digest()
}
