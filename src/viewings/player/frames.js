// @ts-check
// Which frame is on the screen, and how to get to the one beside it.

/** Shorter than a frame of any camera's, so that the first step skips none; the real length is learnt from frames seen. */
const shortest = 1 / 60

/** @param {HTMLVideoElement} video @param {(seconds: number) => void} onFrame told the time at which the shown frame begins */
export const followFrames = (video, onFrame) => {
  let shown = 0
  /** @type {number | undefined} */
  let learnt
  let wanted = 0
  let stepping = false
  /** @type {(() => void) | undefined} */
  let arrived

  /** From a seek until its frame is told of, what `shown` says is of the frame before. */
  let stale = false
  video.addEventListener('seeking', () => {
    stale = true
  })
  /** Whether the frame that was last told of can be the one at this time. */
  const fits = () => {
    const into = video.currentTime - shown
    return into > -0.001 && into < 2 * length()
  }
  // A seek within the shown frame presents no other; on a busy machine the frame is told of late.
  const settle = (tries = 40) => {
    if (video.seeking) return
    if (fits() || tries === 0) stale = false
    else setTimeout(() => settle(tries - 1), 50)
  }
  video.addEventListener('seeked', () => setTimeout(settle, 250))

  /** @param {number} time */
  const show = (time) => {
    shown = time
    if (!video.seeking) stale = false
    onFrame(time)
    arrived?.()
  }

  if (typeof video.requestVideoFrameCallback === 'function') {
    let presented = 0
    /** @type {VideoFrameRequestCallback} */
    const frame = (_, { mediaTime, presentedFrames }) => {
      const apart = mediaTime - shown
      const neighbours = presentedFrames === presented + 1 && !video.paused && !video.seeking
      if (neighbours && apart > 1 / 250 && apart < 1) learn(apart)
      presented = presentedFrames
      show(mediaTime)
      video.requestVideoFrameCallback(frame)
    }
    video.requestVideoFrameCallback(frame)
  } else {
    video.addEventListener('timeupdate', () => show(video.currentTime))
    video.addEventListener('seeked', () => show(video.currentTime))
  }

  /** The shortest distance seen: with it a step may fall short and is taken further, but never skips. @param {number} apart */
  const learn = (apart) => {
    learnt = Math.min(learnt ?? apart, apart)
  }
  const length = () => learnt ?? shortest

  /** Shows what is at a time and waits until it is on the screen, or is seen to be the same. @param {number} time */
  const look = async (time) => {
    const before = shown
    await new Promise((done) => {
      video.addEventListener('seeked', done, { once: true })
      video.currentTime = time
    })
    if (shown !== before) return true
    await new Promise((done) => {
      arrived = () => done(undefined)
      setTimeout(done, 120)
    })
    arrived = undefined
    return shown !== before
  }

  const forward = async () => {
    const from = shown
    const last = Math.min(video.duration, from + 2)
    for (let time = from + 1.5 * length(); time < last; time += length()) {
      if (await look(time)) {
        if (shown > from) learn(shown - from)
        return
      }
    }
  }
  const back = async () => {
    if (shown > 0) await look(Math.max(0, shown - length() / 2))
  }

  return {
    shown: () => shown,
    /** Whether the frame that `shown` tells of is the one on the screen. */
    certain: () => !stale && fits(),
    length,
    /** Pauses and goes one frame on (1) or back (-1); steps asked for meanwhile follow. @param {1 | -1} direction */
    step: async (direction) => {
      video.pause()
      wanted += direction
      if (stepping) return
      stepping = true
      while (stale) await new Promise((done) => setTimeout(done, 20))
      while (wanted !== 0) {
        const next = Math.sign(wanted)
        wanted -= next
        await (next > 0 ? forward() : back())
      }
      stepping = false
    },
    stepping: () => stepping,
  }
}
