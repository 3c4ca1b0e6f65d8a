/** The streams of a PDF that is not compressed, in the order in which they stand in it. */
const streamsOf = (bytes: Buffer): string[] =>
  [...bytes.toString('latin1').matchAll(/stream\n([\s\S]*?)\nendstream/g)].map(([, stream = '']) => stream)

const signs = new TextDecoder('windows-1252')

/** What each page of a PDF in the standard fonts shows, text by text, with nothing of ours: its operators alone are read. */
export const pagesOf = (bytes: Buffer): string[][] =>
  streamsOf(bytes)
    .filter((stream) => stream.includes('TJ'))
    .map((stream) =>
      [...stream.matchAll(/\[([^\]]*)\] TJ/g)].map(([, shown = '']) =>
        [...shown.matchAll(/<([0-9a-f]*)>/g)].map(([, hex = '']) => signs.decode(Buffer.from(hex, 'hex'))).join(''),
      ),
    )

/** Everything that a PDF shows, its lines joined by blanks. */
export const textOf = (bytes: Buffer): string => pagesOf(bytes).flat().join(' ')
