import type { Readable } from 'node:stream'
import { type TSchema, Type } from 'typebox'
import { CollarNumber, IdOf, Serial } from '../base/ids.ts'
import type { RenditionState, WatchedRange } from '../engines/tables.ts'
import { Reason } from '../people/reasons.ts'
import { tokenPattern } from './viewing.ts'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const Instant = Type.String({ format: 'date-time' })
const address = (description: string) => Type.String({ format: 'uri', description })

/** Without one where the configuration asks for none. */
export const ViewingRequest = Type.Union([
  Type.Object({ reason: Type.Optional(Reason) }, { additionalProperties: false }),
  Type.Null(),
])

export const Token = Type.String({ pattern: tokenPattern })

const base = 'https://exhibit.example/api/v1/viewings/q0Yx7sH1mKp2vT8rWn4dLzE9bJcUeAfGiOoSk3hM5RQ'
const id = '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091'

export const ViewingOpened = Type.Object(
  {
    id: IdOf.viewing,
    playerUrl: address('A page that plays it'),
    playlistUrl: address('HLS, for any player; needs no header'),
    posterUrl: address('JPEG'),
    storyboardUrl: address('WebVTT: which part of which picture shows which moment'),
    expiresAt: Type.String({ format: 'date-time', description: 'Moves on while segments are asked for' }),
  },
  {
    description: 'The addresses are the permission: they need no header, and whoever has them can watch.',
    examples: [
      {
        id,
        playerUrl: `${base}/player`,
        playlistUrl: `${base}/playlist.m3u8`,
        posterUrl: `${base}/poster.jpg`,
        storyboardUrl: `${base}/storyboard.vtt`,
        expiresAt: '2026-11-25T22:25:00.000Z',
      },
    ],
  },
)

export const ThumbnailsRequest = Type.Object(
  { recordings: Type.Array(IdOf.recording, { minItems: 1, maxItems: 50 }) },
  { additionalProperties: false },
)

export const Thumbnails = Type.Object({
  items: Type.Array(
    Type.Object({
      recording: IdOf.recording,
      picture: Type.String({ description: 'A JPEG of at most 320 pixels across as a data: address' }),
    }),
    { description: 'What the caller may not see, or what has no picture, is left out' },
  ),
})

const Watched = Type.Unsafe<WatchedRange[]>({
  type: 'array',
  items: { type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 },
  description: "[start, end] in seconds of the recording's own time, sorted; what touches is one",
  examples: [
    [
      [0, 42.5],
      [300, 318],
    ],
  ],
})

export const ViewingView = Type.Object({
  id: IdOf.viewing,
  recording: IdOf.recording,
  person: Type.Object({ id: IdOf.person, name: Type.String() }),
  reason: orNull(Type.String()),
  openedAt: Instant,
  endedAt: orNull(Instant),
  expiresAt: Instant,
  watched: Watched,
})

const HowFar = orNull(
  Type.Object({
    state: Type.Unsafe<RenditionState>({ type: 'string', enum: ['owed', 'working', 'ready', 'failed'] }),
    progress: Type.Number({ minimum: 0, maximum: 1 }),
    playable: Type.Boolean({ description: 'Whether some of it can be watched by now' }),
    complete: Type.Boolean({
      description: 'Whether all of it can; what is owed once more can until a new one takes its place',
    }),
    shownTo: Type.Optional(
      Type.Number({ description: 'Seconds at which it ends before the recording does: the rest cannot be decoded' }),
    ),
  }),
)

export const Activity = Type.Object({
  active: Type.Optional(
    Type.Boolean({ description: 'Somebody watches or moves about in what has come already: the viewing lives on' }),
  ),
})

export const ViewingState = Type.Object(
  {
    id: IdOf.viewing,
    recording: Type.Object({
      id: IdOf.recording,
      camera: Serial,
      officer: orNull(CollarNumber),
      filename: Type.String({ description: 'As the dock gave it: data, never a path' }),
      recordedAt: Type.String({ format: 'date-time', description: "By the camera's clock" }),
      correctedAt: Type.String({ format: 'date-time', description: 'By ours, where the two were compared' }),
      duration: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds' }),
      flags: Type.Array(Type.String()),
      picture: Type.Boolean({ description: 'Whether there is something to see, and so a poster and a storyboard' }),
      notPlayed: Type.Object(
        { video: Type.Integer({ minimum: 0 }), audio: Type.Integer({ minimum: 0 }) },
        { description: 'Tracks of the original beside the first picture and the first sound, which alone are played' },
      ),
    }),
    reason: orNull(Type.String()),
    viewer: Type.String({ description: 'The name of the person who opened the viewing' }),
    expiresAt: Instant,
    playable: Type.Object({ hls: HowFar, proxy: HowFar }),
    storyboard: Type.Boolean({ description: 'Whether the storyboard is there by now' }),
    watched: Watched,
  },
  {
    examples: [
      {
        id,
        recording: {
          id,
          camera: 'BWC-0042',
          officer: 'PC1234',
          filename: 'BWC_0417.MP4',
          recordedAt: '2026-11-25T22:15:00.000Z',
          correctedAt: '2026-11-25T22:15:03.200Z',
          duration: 612.4,
          flags: ['silent_start'],
          notPlayed: { video: 0, audio: 0 },
          picture: true,
        },
        reason: 'Complaint 26/0193',
        viewer: 'Asha Rao',
        expiresAt: '2026-11-25T22:25:00.000Z',
        playable: {
          hls: { state: 'ready', progress: 1, playable: true, complete: true },
          proxy: { state: 'working', progress: 0.4, playable: true, complete: false },
        },
        storyboard: true,
        watched: [[0, 42.5]],
      },
    ],
  },
)

/** An answer that is text of this type. */
export const text = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: Type.Unsafe<string>({ type: 'string' }) } },
})

/** An answer that is bytes of this type. */
export const bytes = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: Type.Unsafe<Readable>({ type: 'string', format: 'binary' }) } },
})
