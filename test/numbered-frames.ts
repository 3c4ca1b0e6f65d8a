import type { Page } from 'playwright-core'

/**
 * An ffmpeg filter that writes each frame's number into its bottom edge as twelve black or white boxes, the lowest bit
 * first: enough for 4,096 frames, at any size of picture, and still legible after a transcode.
 */
export const numberedFrames = Array.from({ length: 12 }, (_, bit) => {
  const box = `drawbox=x=iw*${bit}/16:y=ih*15/16:w=iw/16+1:h=ih/16+1:t=fill`
  return `${box}:c=black,${box}:c=white:enable='mod(floor(n/${2 ** bit}),2)'`
}).join(',')

/** The number of the frame that the page's video shows. */
export const frameShown = async (page: Page): Promise<number> =>
  await page.evaluate<number>(`(() => {
    const context = new OffscreenCanvas(160, 160).getContext('2d', { willReadFrequently: true })
    context.drawImage(document.querySelector('video'), 0, 0, 160, 160)
    return Array.from({ length: 12 }, (_, bit) => context.getImageData(bit * 10 + 5, 155, 1, 1).data[1] > 128 ? 2 ** bit : 0)
      .reduce((sum, value) => sum + value)
  })()`)
