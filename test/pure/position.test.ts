import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseIso6709, parseLoci, parseNmea, parseXyz } from '../../src/custody/examination/position.ts'
import { words } from '../footage.ts'

test.for<[string, number, number, number?]>([
  ['+51.5007-000.1246/', 51.5007, -0.1246],
  ['+51.5007-000.1246+011.5/', 51.5007, -0.1246, 11.5],
  ['-33.8568+151.2153-002/', -33.8568, 151.2153, -2],
  ['+5130.042-00007.476/', 51.5007, -0.1246],
  ['+513002.52-0000728.56/', 51.5007, -0.1246],
  ['+52+013/', 52, 13],
])('%s is read as degrees', ([text, latitude, longitude, altitude]) => {
  const found = parseIso6709(text, 'tag')
  expect(found?.latitude).toBeCloseTo(latitude, 5)
  expect(found?.longitude).toBeCloseTo(longitude, 5)
  expect(found?.altitude).toBe(altitude)
  expect(found?.source).toBe('tag')
})

test.for(['', 'London', '+51.5', '+91.0-000.1/', '+51.5+181.0/', '+5+0/', '51.5007-0.1246', '+00.0000+000.0000/'])(
  '"%s" is no position',
  (text) => {
    expect(parseIso6709(text, 'tag')).toBeNull()
  },
)

test('a ©xyz box holds its length, a language and the text', () => {
  const text = '+51.5007-000.1246+011.000/'
  const content = Buffer.concat([Buffer.from([0, text.length, 0x15, 0xc7]), Buffer.from(text)])
  expect(parseXyz(content)).toEqual({ latitude: 51.5007, longitude: -0.1246, altitude: 11, source: '©xyz' })
  expect(parseXyz(content.subarray(0, 3))).toBeNull()
})

const fixed = (degrees: number) => Math.round(degrees * 65_536)
const loci = (name: Buffer, body: string) =>
  Buffer.concat([
    words(0),
    Buffer.from([0x15, 0xc7]),
    name,
    Buffer.from([0]),
    words(fixed(-0.1246), fixed(51.5007), fixed(11)),
    Buffer.from(body),
  ])

test('a loci box holds a name, a role and three fixed-point numbers', () => {
  const found = parseLoci(loci(Buffer.from('Westminster\0'), 'earth\0\0'))
  expect(found).toMatchObject({ altitude: 11, source: 'loci' })
  expect(found?.latitude).toBeCloseTo(51.5007, 4)
  expect(found?.longitude).toBeCloseTo(-0.1246, 4)
})

test('a loci box may hold its name in UTF-16', () => {
  const name = Buffer.from([0xfe, 0xff, 0, 0x57, 0, 0x21, 0, 0])
  expect(parseLoci(loci(name, 'earth\0'))?.latitude).toBeCloseTo(51.5007, 4)
})

test('a loci box on the Moon, without an end to its name, or cut short is no position', () => {
  expect(parseLoci(loci(Buffer.from('Base\0'), 'moon\0'))).toBeNull()
  expect(parseLoci(Buffer.concat([words(0), Buffer.from('\x15\xc7no end')]))).toBeNull()
  expect(parseLoci(loci(Buffer.from('x\0'), '').subarray(0, 14))).toBeNull()
})

const rmc = '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A'
const gga = '$GNGGA,123519,3350.000,S,07040.500,W,1,08,0.9,545.4,M,46.9,M,,*54'

const summed = (body: string) =>
  `$${body}*${[...body]
    .reduce((sum, character) => sum ^ character.charCodeAt(0), 0)
    .toString(16)
    .padStart(2, '0')}`

test('an RMC sentence gives a position', () => {
  expect(parseNmea(rmc)).toEqual({ latitude: 48.1173, longitude: 11.5166667, source: 'nmea' })
})

test('a GGA sentence gives an altitude too, south and west are negative', () => {
  const found = parseNmea(summed(gga.slice(1, -3)))
  expect(found).toEqual({ latitude: -33.8333333, longitude: -70.675, altitude: 545.4, source: 'nmea' })
})

test('sentences are found between other bytes, and the first with a fix counts', () => {
  const noFix = summed('GPRMC,123518,V,,,,,,,230394,,')
  expect(parseNmea(`\0D${noFix}\r\n\0E${rmc}\r\nmore`)?.latitude).toBe(48.1173)
})

test.for<[string, string]>([
  ['a wrong checksum', rmc.replace('*6A', '*6B')],
  ['no checksum', rmc.slice(0, -3)],
  ['a receiver that warns', summed('GPRMC,123519,V,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W')],
  ['a quality of nought', summed('GPGGA,123519,4807.038,N,01131.000,E,0,08,0.9,545.4,M,46.9,M,,')],
  ['another kind of sentence', summed('GPGSV,3,1,11,03,03,111,00')],
  ['a hemisphere nobody knows', summed('GPRMC,123519,A,4807.038,X,01131.000,E,022.4,084.4,230394,003.1,W')],
  ['a latitude beyond the pole', summed('GPRMC,123519,A,9107.038,N,01131.000,E,022.4,084.4,230394,003.1,W')],
])('a sentence with %s is no position', ([, text]) => {
  expect(parseNmea(text)).toBeNull()
})

test('no bytes make these parsers throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (bytes, text) => {
      parseXyz(Buffer.from(bytes))
      parseLoci(Buffer.from(bytes))
      parseNmea(Buffer.from(bytes).toString('latin1'))
      parseIso6709(text, 'tag')
    }),
  )
})
