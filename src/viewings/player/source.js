// @ts-check
// Where the picture comes from: hls.js, or the browser's own HLS where that is all it has.

/**
 * @typedef {{ detach(): void }} Source
 * @typedef {{ onTrouble(status: number | undefined): void }} Listener `status` is the server's answer, where it is known
 */

/** @param {HTMLVideoElement} video @param {Listener} on @returns {Source} */
const native = (video, { onTrouble }) => {
  const trouble = () => onTrouble(undefined)
  video.addEventListener('error', trouble)
  video.src = 'playlist.m3u8'
  return {
    detach: () => {
      video.removeEventListener('error', trouble)
      video.removeAttribute('src')
      video.load()
    },
  }
}

/** @param {HTMLVideoElement} video @param {Listener} on @returns {Promise<Source>} */
const withLibrary = async (video, { onTrouble }) => {
  const { default: Hls } = await import('./hls.js')
  // Its worker would be code from a blob, which the page's policy forbids. What is fetched counts as watched: not much ahead.
  const hls = new Hls({ enableWorker: false, startPosition: 0, maxBufferLength: 18, maxMaxBufferLength: 18 })
  hls.on(
    Hls.Events.ERROR,
    /** @param {unknown} _ @param {{ fatal: boolean; response?: { code?: number } }} data */ (_, data) => {
      const status = data.response?.code
      if (data.fatal || (status !== undefined && status >= 400 && status < 500)) onTrouble(status)
    },
  )
  hls.loadSource('playlist.m3u8')
  hls.attachMedia(video)
  return { detach: () => hls.destroy() }
}

/** Whether a page can feed this browser. An iPhone before iOS 17.1 has only its own HLS. */
const feedable = 'MediaSource' in globalThis || 'ManagedMediaSource' in globalThis

/**
 * hls.js wherever it can be used: Chromium's own HLS shows pictures two frames late after a seek where frames are
 * reordered, and joins a playlist that still grows near its end without being able to seek in it.
 * @param {HTMLVideoElement} video @param {Listener} on @returns {Promise<Source>}
 */
export const attach = async (video, on) => {
  if (feedable) return await withLibrary(video, on)
  if (video.canPlayType('application/vnd.apple.mpegurl') === '') throw new Error('this browser plays no HLS')
  return native(video, on)
}
