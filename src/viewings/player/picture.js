// @ts-check
import { element } from './element.js'

/** Puts the video into the page. Footage comes without captions, and none are promised by an empty track. */
export const makePicture = () => {
  const video = document.createElement('video')
  video.id = 'video'
  video.preload = 'auto'
  video.playsInline = true
  video.disablePictureInPicture = true
  video.disableRemotePlayback = true
  video.setAttribute('aria-label', 'The recording')
  element('picture', HTMLElement).append(video)
  return video
}
