// @ts-check
// The seek bar: where we are, what is there to play, what the record says was watched.

/** @param {number} value */
const share = (value) => `${Math.max(0, Math.min(1, value)) * 100}%`

/** How often a bar that moves by itself says where it is. */
const sayEveryMs = 15_000

/**
 * A drag looks at the storyboard only; the place where it is let go is the one that is fetched, so that the record
 * tells what was asked for and not what was passed over.
 * @param {HTMLElement} bar the slider, holding `.track-made`, `.track-played`, `.track-thumb` and `.track-watched`
 * @param {{ preview: ReturnType<typeof import('./preview.js').makePreview>; onSeek(seconds: number): void; timeInWords(seconds: number): string }} on
 */
export const makeSeekBar = (bar, { preview, onSeek, timeInWords }) => {
  /** @param {string} name */
  const part = (name) => /** @type {HTMLElement} */ (bar.querySelector(name))
  const made = part('.track-made')
  const played = part('.track-played')
  const thumb = part('.track-thumb')
  const lane = part('.track-watched')
  let length = 0
  let dragging = false
  let drawn = ''
  let saidAt = Number.NEGATIVE_INFINITY

  /** @param {number} seconds */
  const place = (seconds) => {
    const at = share(length > 0 ? seconds / length : 0)
    played.style.width = at
    thumb.style.left = at
  }

  /** @param {PointerEvent} event */
  const timeAt = (event) => {
    const { left, width } = bar.getBoundingClientRect()
    return Math.max(0, Math.min(1, (event.clientX - left) / width)) * length
  }
  /** @param {PointerEvent} event */
  const look = (event) => {
    if (length === 0) return
    const seconds = timeAt(event)
    preview.show(seconds, seconds / length, timeInWords(seconds))
    if (dragging) place(seconds)
  }

  bar.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    dragging = true
    bar.setPointerCapture(event.pointerId)
    look(event)
  })
  bar.addEventListener('pointermove', look)
  bar.addEventListener('pointerup', (event) => {
    if (!dragging) return
    dragging = false
    if (event.pointerType !== 'mouse') preview.hide()
    onSeek(timeAt(event))
  })
  bar.addEventListener('pointercancel', () => {
    dragging = false
    preview.hide()
  })
  bar.addEventListener('pointerleave', () => {
    if (!dragging) preview.hide()
  })

  return {
    /** @param {{ time: number; length: number; available: number; words: string; moving: boolean }} now */
    update: (now) => {
      length = now.length
      made.style.width = share(length > 0 ? now.available / length : 0)
      if (!dragging) place(now.time)
      bar.setAttribute('aria-valuemax', length.toFixed(2))
      bar.setAttribute('aria-valuenow', Math.min(now.time, length).toFixed(2))
      // A screen reader says each change: not one a second while it plays.
      if (now.moving && performance.now() - saidAt < sayEveryMs) return
      saidAt = performance.now()
      bar.setAttribute('aria-valuetext', now.words)
    },
    /** @param {readonly [number, number][]} ranges @param {number} whole the recording's length in seconds */
    drawWatched: (ranges, whole) => {
      const wanted = JSON.stringify([ranges, whole])
      if (wanted === drawn || whole <= 0) return
      drawn = wanted
      lane.replaceChildren(
        ...ranges.map(([start, end]) => {
          const mark = document.createElement('span')
          mark.style.left = share(start / whole)
          mark.style.width = share((end - start) / whole)
          return mark
        }),
      )
    },
  }
}
