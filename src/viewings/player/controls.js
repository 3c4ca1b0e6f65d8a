// @ts-check
// Buttons, speed and sound: what they do, and what they show.
import { element } from './element.js'
import { speeds } from './playback.js'

/** @param {HTMLVideoElement} video @param {import('./playback.js').Playback} playback */
export const wireControls = (video, playback) => {
  const play = element('play', HTMLButtonElement)
  const mute = element('mute', HTMLButtonElement)
  const volume = element('volume', HTMLInputElement)
  const speed = element('speed', HTMLSelectElement)
  const full = element('full-screen', HTMLButtonElement)
  const help = element('help', HTMLDialogElement)

  /** @type {Readonly<Record<string, () => unknown>>} */
  const presses = {
    play: playback.toggle,
    mute: playback.toggleMute,
    'ten-back': () => playback.jump(-10),
    'ten-on': () => playback.jump(10),
    'frame-back': () => playback.step(-1),
    'frame-on': () => playback.step(1),
    'full-screen': playback.fullScreen,
    'open-help': () => help.showModal(),
    'close-help': () => help.close(),
  }
  for (const [id, act] of Object.entries(presses)) element(id, HTMLButtonElement).addEventListener('click', act)
  video.addEventListener('click', playback.toggle)

  speed.append(...speeds.map((value) => new Option(`${value}×`, String(value), value === 1, value === 1)))
  speed.addEventListener('change', () => playback.setSpeed(Number(speed.value)))
  volume.addEventListener('input', () => playback.setVolume(Number(volume.value)))

  const showPlaying = () => {
    play.dataset.on = String(!video.paused)
    play.setAttribute('aria-label', video.paused ? 'Play' : 'Pause')
  }
  const showSound = () => {
    const level = video.muted ? 0 : video.volume
    mute.dataset.on = String(level === 0)
    mute.setAttribute('aria-label', level === 0 ? 'Sound on' : 'Sound off')
    volume.value = String(level)
    volume.setAttribute('aria-valuetext', `${Math.round(level * 100)} percent`)
  }
  for (const event of ['play', 'pause', 'ended']) video.addEventListener(event, showPlaying)
  video.addEventListener('volumechange', showSound)
  video.addEventListener('ratechange', () => {
    speed.value = String(video.playbackRate)
  })
  document.addEventListener('fullscreenchange', () => {
    const on = document.fullscreenElement !== null
    full.dataset.on = String(on)
    full.setAttribute('aria-label', on ? 'Leave full screen' : 'Full screen')
  })
  showPlaying()
  showSound()
}
