// @ts-check
// What can be done with the picture, whether by a button or by a key.

export const speeds = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4]

/**
 * @param {HTMLVideoElement} video
 * @param {ReturnType<typeof import('./frames.js').followFrames>} frames
 * @param {{ stage: HTMLElement; say(words: string): void; moment(): string; isGrowing(): boolean }} page
 */
export const makePlayback = (video, frames, { stage, say, moment, isGrowing }) => {
  /** How far there is something to play, in seconds. */
  const available = () => (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : 0)

  /** @param {number} seconds */
  const seekTo = (seconds) => {
    const end = available()
    if (end === 0) return
    if (seconds > end + 1 && isGrowing()) say('That part is still being made.')
    video.currentTime = Math.max(0, Math.min(seconds, end - frames.length() / 2))
  }
  /** Inside the frame shown, where that is known: from there a jump by whole frames never lands on the edge of one. */
  const here = () =>
    video.paused && frames.certain() && video.videoWidth > 0
      ? frames.shown() + frames.length() / 2
      : video.currentTime + 0.001

  /** @param {number} speed */
  const setSpeed = (speed) => {
    video.playbackRate = speed
    say(`Speed ${speed}`)
  }

  return {
    available,
    seekTo,
    toggle: () => {
      if (!video.paused) video.pause()
      else video.play().catch(() => say('The browser did not start playing. Press play once more.'))
    },
    /** @param {number} seconds */
    jump: (seconds) => seekTo(here() + seconds),
    /** @param {1 | -1} direction */
    step: async (direction) => {
      await frames.step(direction)
      say(moment())
    },
    start: () => seekTo(0),
    end: () => seekTo(available()),
    setSpeed,
    /** @param {1 | -1} direction */
    changeSpeed: (direction) => {
      const now = speeds.indexOf(video.playbackRate)
      setSpeed(speeds[Math.max(0, Math.min(speeds.length - 1, now + direction))] ?? 1)
    },
    toggleMute: () => {
      video.muted = !video.muted
      say(video.muted ? 'Sound off' : 'Sound on')
    },
    /** @param {number} level 0 to 1 */
    setVolume: (level) => {
      video.volume = level
      video.muted = level === 0
    },
    fullScreen: async () => {
      if (document.fullscreenElement !== null) await document.exitFullscreen()
      else if ('requestFullscreen' in stage) await stage.requestFullscreen()
      // An iPhone gives the whole screen to a video only.
      else if ('webkitEnterFullscreen' in video && typeof video.webkitEnterFullscreen === 'function') {
        video.webkitEnterFullscreen()
      }
    },
  }
}

/** @typedef {ReturnType<typeof makePlayback>} Playback */
