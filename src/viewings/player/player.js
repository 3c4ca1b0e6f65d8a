// @ts-check
// The player page: joins what the server says, the picture, and the controls.
import { clockDate, clockTime, clockZone, momentOf, position, spoken } from './clock.js'
import { wireControls } from './controls.js'
import { element, write } from './element.js'
import { reachWhatScrolls, showFacts } from './facts.js'
import { followFrames } from './frames.js'
import { listenToKeys } from './keyboard.js'
import { makeNotices } from './notices.js'
import { showOver } from './over.js'
import { makePicture } from './picture.js'
import { makePlayback } from './playback.js'
import { makePreview } from './preview.js'
import { progressOf } from './progress.js'
import { makeSeekBar } from './seek-bar.js'
import { attach } from './source.js'
import { followViewing, isGrowing, isWhole, stillMaking } from './viewing.js'

const video = makePicture()
const bar = element('seek', HTMLElement)
const notices = makeNotices()

/** @type {import('./viewing.js').Viewing | undefined} */
let viewing
/** @type {import('./source.js').Source | undefined} */
let source
let attaching = false
let over = false
/** Whether the last word was that it is still being made. */
let waited = false
/** Where to go on after trouble. */
let resume = { time: 0, playing: false }

const length = () => {
  const known = viewing?.recording.duration ?? 0
  return Number.isFinite(video.duration) && isWhole(viewing?.playable.hls) ? video.duration : known
}
/** The time of what is on the screen: the beginning of the shown frame, or of the sound where there is no picture. */
const shownTime = () => (video.videoWidth > 0 && !video.seeking ? frames.shown() : video.currentTime)

/** @param {number} seconds @param {{ exact?: boolean }} [how] */
const clockAt = (seconds, how) => {
  const at = momentOf(viewing?.recording.correctedAt ?? '', seconds)
  return `${clockTime(at, how)} ${clockZone(at)}`
}
const moment = () => clockAt(shownTime(), { exact: true })

const render = () => {
  if (viewing === undefined || over) return
  const seconds = shownTime()
  const at = momentOf(viewing.recording.correctedAt, seconds)
  write('clock-date', clockDate(at))
  write('clock-time', clockTime(at, { exact: video.paused }))
  write('clock-zone', clockZone(at))
  write('position', `${position(seconds)} of ${position(length())}`)
  const words = `${clockAt(seconds)}, ${spoken(seconds)} of ${spoken(length())}`
  seekBar.update({ time: seconds, length: length(), available: playback.available(), words, moving: !video.paused })
}

const frames = followFrames(video, render)
const playback = makePlayback(video, frames, {
  stage: element('stage', HTMLElement),
  say: notices.say,
  moment,
  // What hls.js says of a playlist that grows is how long it is by now.
  isGrowing: () => viewing !== undefined && isGrowing(viewing),
})
const preview = makePreview(element('preview', HTMLElement))
const seekBar = makeSeekBar(bar, { preview, onSeek: playback.seekTo, timeInWords: clockAt })

/** @param {number | undefined} status the server's answer, where it is known */
const onTrouble = (status) => {
  if (source === undefined) return
  // Before it has begun there is no place to go back to but the one already kept.
  if (video.readyState > 0) resume = { time: video.currentTime, playing: !video.paused }
  source.detach()
  source = undefined
  const early = viewing !== undefined && stillMaking(viewing) && status !== 403
  if (!early) notices.tell('trouble', 'The picture could not be loaded. It is tried again by itself in a few seconds.')
  // Its answer either ends the viewing in words or tries once more.
  setTimeout(following.ask, early ? 500 : 1500)
}

const start = async () => {
  if (source !== undefined || attaching || over) return
  attaching = true
  try {
    source = await attach(video, { onTrouble })
  } catch {
    notices.tell('trouble', 'The player could not be started. Load the page again, or use another browser.')
  } finally {
    attaching = false
  }
}

/** So long after the last key or touch somebody is still at work on a picture that stands. */
const activeMs = 60_000
let touchedAt = performance.now()
for (const event of ['keydown', 'pointerdown']) {
  addEventListener(event, () => {
    touchedAt = performance.now()
  })
}

const following = followViewing({
  isActive: () => !video.paused || performance.now() - touchedAt < activeMs,
  onViewing: (now) => {
    viewing = now
    if (now.recording.picture && video.poster === '') video.poster = 'poster.jpg'
    notices.tell('lost', undefined)
    showFacts(now, length())
    seekBar.drawWatched(now.watched, length())
    const making = progressOf(now, playback.available())
    notices.tell('failed', making.failed)
    notices.tell('making', making.waiting)
    if (waited && making.waiting === undefined && making.able) notices.say('All of it can be played now.')
    waited = making.waiting !== undefined
    if (making.able) void start()
    if (now.storyboard) void preview.prepare()
    render()
  },
  onRefused: (refusal) => {
    over = true
    video.pause()
    source?.detach()
    source = undefined
    showOver(refusal)
  },
  onLost: (refusal) => {
    const what = refusal === undefined ? 'The connection to Exhibit is lost.' : 'Exhibit cannot answer just now.'
    const why = refusal?.detail === undefined ? '' : ` ${refusal.detail}`
    notices.tell('lost', `${what}${why} What has already come can still be played; trying again.`)
  },
})

video.addEventListener('loadedmetadata', () => {
  notices.tell('trouble', undefined)
  notices.tell('sound-only', video.videoWidth === 0 ? 'This recording has sound only.' : undefined)
  for (const id of ['frame-back', 'frame-on']) element(id, HTMLButtonElement).disabled = video.videoWidth === 0
  // A playlist that still grows would be joined at its end.
  if (resume.time > 0 || !Number.isFinite(video.duration)) video.currentTime = resume.time
  if (resume.playing) playback.toggle()
  resume = { time: 0, playing: false }
})
video.addEventListener('play', () => notices.say('Playing'))
video.addEventListener('pause', () => {
  if (!over && !frames.stepping()) notices.say(`Paused at ${moment()}`)
})
for (const event of ['timeupdate', 'seeking', 'seeked', 'durationchange', 'progress', 'play', 'pause']) {
  video.addEventListener(event, render)
}
element('again', HTMLButtonElement).addEventListener('click', following.ask)
wireControls(video, playback)
reachWhatScrolls()
listenToKeys(playback, { help: element('help', HTMLDialogElement), bar })
addEventListener('pagehide', following.leave)
// Brought back from the browser's memory it is a page whose viewing may be over: it must not look alive.
addEventListener('pageshow', (event) => event.persisted && location.reload())
void following.ask()
