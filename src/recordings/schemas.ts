import { type TSchema, Type } from 'typebox'
import { type CaseId, CollarNumber, Digest, IdOf, Serial } from '../base/ids.ts'
import { Cursor, Limit, pageOf } from '../people/page.ts'
import { statuses } from './recording.ts'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const instant = (description: string) => Type.String({ format: 'date-time', maxLength: 40, description })
const oneOf = <Word extends string>(words: readonly Word[], description?: string) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...(description === undefined ? {} : { description }) })
const Count = Type.Integer({ minimum: 0 })

const Track = Type.Object({
  kind: oneOf(['video', 'audio', 'data', 'subtitle']),
  codec: Type.String(),
  profile: Type.Optional(Type.String()),
  width: Type.Optional(Count),
  height: Type.Optional(Count),
  frameRate: Type.Optional(Type.Number({ description: 'Frames a second' })),
  rotation: Type.Optional(Type.Number({ description: 'Degrees' })),
  channels: Type.Optional(Count),
  sampleRate: Type.Optional(Type.Number({ description: 'Samples a second' })),
  packets: Type.Optional(Count),
})

const Position = Type.Object(
  {
    latitude: Type.Number(),
    longitude: Type.Number(),
    altitude: Type.Optional(Type.Number({ description: 'Metres' })),
    source: Type.String({ description: 'Where in the file it was found' }),
  },
  { description: 'Where the file says it was made: degrees, WGS 84' },
)

const Rendition = Type.Object({
  kind: oneOf(['hls', 'proxy', 'poster', 'storyboard']),
  state: oneOf(['owed', 'working', 'ready', 'failed']),
  progress: Type.Number({ minimum: 0, maximum: 1 }),
  failure: Type.Union([Type.String(), Type.Null()], {
    description: 'Why it failed, or why one that is ready could not be made anew',
  }),
})

export const RecordingView = Type.Object(
  {
    id: IdOf.recording,
    camera: Serial,
    officer: Type.Union([CollarNumber, Type.Null()], {
      description: 'Whom the camera was assigned to when it recorded, by the corrected clock',
    }),
    dock: IdOf.dock,
    recordedAt: instant("By the camera's clock"),
    clockOffset: Type.Optional(
      Type.Number({ description: "Seconds the camera's clock was ahead at docking; absent when nobody compared" }),
    ),
    receivedAt: instant('When the last byte was acknowledged'),
    duration: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds' }),
    size: Type.Integer({ minimum: 0, description: 'Bytes' }),
    sha256: orNull(Digest),
    status: oneOf(statuses),
    quarantinedBecause: orNull(oneOf(['digest-mismatch', 'parts-mismatch', 'discarded'])),
    flags: Type.Array(Type.String(), { examples: [['truncated', 'clock_drift']] }),
    category: orNull(Type.String()),
    incident: orNull(Type.String()),
    number: Type.Union([Count, Type.Null()], { description: "The camera's own file counter" }),
    sequence: Type.Union([Type.String(), Type.Null()], { description: 'The event that consecutive files share' }),
    filename: Type.String({ description: 'As the dock gave it: data, never a path' }),
    container: orNull(Type.String()),
    startTime: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds: the first time stamp in the file' }),
    position: orNull(Position),
    tracks: Type.Array(Track),
    renditions: Type.Array(Rendition, { description: 'Derived playback forms. They are never evidence' }),
  },
  {
    description: 'One file made by a camera. What is not known is null.',
    examples: [
      {
        id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091',
        camera: 'BWC-0042',
        officer: 'PC1234',
        dock: '019ab0c4-0000-7b1a-8f0e-3c5d6e7f8091',
        recordedAt: '2026-11-25T22:15:00.000Z',
        clockOffset: -3.2,
        receivedAt: '2026-11-26T06:02:11.480Z',
        duration: 612.4,
        size: 382_730_240,
        sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
        status: 'active',
        quarantinedBecause: null,
        flags: [],
        category: 'stop-search',
        incident: '26/11/25-0914',
        number: 417,
        sequence: 'E-0093',
        filename: 'BWC_0417.MP4',
        container: 'mp4',
        startTime: 0,
        position: null,
        tracks: [{ kind: 'video', codec: 'h264', width: 1920, height: 1080, frameRate: 30 }],
        renditions: [{ kind: 'hls', state: 'ready', progress: 1, failure: null }],
      },
    ],
  },
)

/** A value to search for: control characters are in no recording, and Postgres would not take them all. */
const Word = (examples: string[]) =>
  Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f]*$', examples })

export const RecordingsQuery = Type.Object(
  {
    camera: Type.Optional(Serial),
    officer: Type.Optional(CollarNumber),
    category: Type.Optional(Word(['stop-search'])),
    incident: Type.Optional(Word(['26/11/25-0914'])),
    sequence: Type.Optional(Word(['E-0093'])),
    caseId: Type.Optional(
      Type.Unsafe<CaseId>({ ...IdOf.case, description: 'What is in a case you are a member of; nothing of another' }),
    ),
    from: Type.Optional(instant('recordedAt at or after this')),
    to: Type.Optional(instant('recordedAt before this')),
    status: Type.Optional(oneOf(statuses, 'Without it: verified, active, quarantined and due')),
    limit: Limit,
    cursor: Cursor,
  },
  { additionalProperties: false },
)
export type RecordingsQuery = Type.Static<typeof RecordingsQuery>

export const RecordingsPage = pageOf(RecordingView)
