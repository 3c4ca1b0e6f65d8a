// @ts-check
// What the server says of this viewing. All addresses are relative: the page's own carries the token.

/**
 * @typedef {'owed' | 'working' | 'ready' | 'failed'} State
 * @typedef {{ state: State; progress: number; playable: boolean; complete: boolean; shownTo?: number }} Playable
 * @typedef {{
 *   id: string
 *   recording: {
 *     id: string
 *     camera: string
 *     officer: string | null
 *     filename: string
 *     recordedAt: string
 *     correctedAt: string
 *     duration: number | null
 *     flags: string[]
 *     picture: boolean
 *     notPlayed: { video: number; audio: number }
 *   }
 *   reason: string | null
 *   viewer: string
 *   expiresAt: string
 *   playable: { hls: Playable | null; proxy: Playable | null }
 *   storyboard: boolean
 *   watched: [number, number][]
 * }} Viewing
 * @typedef {{ status: number; title?: string; detail?: string; code?: string }} Refusal
 */

/** After these the viewing is over, unless the server says when to ask again; anything else may pass. */
const final = new Set([401, 403, 404, 409, 410, 422])

/** @param {Response} answer @returns {Promise<Refusal>} */
const refusalOf = async (answer) => {
  const said = await answer.json().catch(() => ({}))
  return { ...said, status: answer.status }
}

/**
 * Whether all of it can be watched: what is owed once more can, until a new one takes its place.
 * @param {Playable | null | undefined} part
 */
export const isWhole = (part) => part?.state === 'ready' || part?.complete === true

/** @param {Viewing} viewing */
export const stillMaking = ({ playable }) =>
  [playable.hls, playable.proxy].some((part) => part?.state === 'owed' || part?.state === 'working')

/** Whether more of the recording can be watched later than can be now. @param {Viewing} viewing */
export const isGrowing = (viewing) => stillMaking(viewing) && !isWhole(viewing.playable.hls)

/**
 * Asks now and then on, sooner while something is still being made. While `isActive`, the server lets the viewing live on.
 * @param {{
 *   isActive(): boolean
 *   onViewing(viewing: Viewing): void
 *   onRefused(refusal: Refusal): void
 *   onLost(refusal?: Refusal): void
 * }} on
 */
export const followViewing = ({ isActive, onViewing, onRefused, onLost }) => {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let over = false
  let asking = false

  const ask = async () => {
    if (over || asking) return
    asking = true
    clearTimeout(timer)
    let seconds = 5
    try {
      const answer = await fetch(isActive() ? 'state?active=true' : 'state', {
        cache: 'no-store',
        signal: AbortSignal.timeout(15_000),
      })
      if (final.has(answer.status) && !answer.headers.has('retry-after')) {
        over = true
        onRefused(await refusalOf(answer))
      } else if (answer.ok) {
        const viewing = /** @type {Viewing} */ (await answer.json())
        seconds = stillMaking(viewing) ? 2 : 10
        onViewing(viewing)
      } else {
        onLost(await refusalOf(answer))
      }
    } catch {
      onLost()
    } finally {
      asking = false
      if (!over) timer = setTimeout(ask, seconds * 1000)
    }
  }

  return {
    ask,
    /** Tells the server that nobody is watching any more, unless the page is loaded again; it outlives the page. */
    leave: () => {
      clearTimeout(timer)
      if (!over) navigator.sendBeacon('leave')
      over = true
    },
  }
}
