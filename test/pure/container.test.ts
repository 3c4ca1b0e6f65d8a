import { expect, test } from 'vitest'
import { headLength, sniff } from '../../src/custody/examination/container.ts'
import { box, words } from '../footage.ts'

const packets = (stride: number, first: number): Buffer => {
  const bytes = Buffer.alloc(stride * 6)
  for (let at = first; at < bytes.length; at += stride) bytes[at] = 0x47
  return bytes
}

const ebml = (type: string): Buffer =>
  Buffer.concat([
    Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42, 0x86, 0x81, 1, 0x42, 0x82, 0x80 + type.length]),
    Buffer.from(type),
  ])

test.for<[string, Buffer, string, string]>([
  ['an MP4', box('ftyp', 'isom', words(512), 'isomavc1'), 'mp4', 'mov'],
  ['a QuickTime file', box('ftyp', 'qt  ', words(0)), 'mov', 'mov'],
  ['a phone’s 3GP', box('ftyp', '3gp4', words(0)), '3gp', 'mov'],
  ['an M4A', box('ftyp', 'M4A ', words(0)), 'm4a', 'mov'],
  ['a QuickTime file that starts with its index', box('moov', box('mvhd', words(0))), 'mov', 'mov'],
  ['a camera’s file that starts with its data', Buffer.concat([words(0), Buffer.from('mdat')]), 'mov', 'mov'],
  ['one with a 64-bit size', Buffer.concat([words(1), Buffer.from('mdat'), words(1, 0)]), 'mov', 'mov'],
  ['one that starts with a placeholder', box('wide'), 'mov', 'mov'],
  ['one that starts with free space', box('free', words(0)), 'mov', 'mov'],
  ['a lone fragment', box('moof', box('mfhd', words(0, 1))), 'mp4', 'mov'],
  ['an AVI', Buffer.from('RIFF\x10\0\0\0AVI LIST', 'latin1'), 'avi', 'avi'],
  ['a WAV', Buffer.from('RIFF\x10\0\0\0WAVEfmt ', 'latin1'), 'wav', 'wav'],
  ['a WAV over 4 GiB', Buffer.from('RF64\xff\xff\xff\xffWAVEds64', 'latin1'), 'wav', 'wav'],
  ['a Matroska file', ebml('matroska'), 'matroska', 'matroska'],
  ['a WebM file', ebml('webm'), 'webm', 'matroska'],
  ['an MPEG program stream', Buffer.from([0, 0, 1, 0xba, 0x44]), 'mpeg-ps', 'mpeg'],
  ['bare MPEG video', Buffer.from([0, 0, 1, 0xb3, 0x14]), 'mpeg-video', 'mpegvideo'],
  ['a transport stream', packets(188, 0), 'mpeg-ts', 'mpegts'],
  ['a transport stream with time stamps', packets(192, 4), 'mpeg-ts', 'mpegts'],
  ['an Ogg file', Buffer.from('OggS\0\x02'), 'ogg', 'ogg'],
  ['a Flash video', Buffer.from('FLV\x01\x05'), 'flv', 'flv'],
  ['a FLAC file', Buffer.from('fLaC\0'), 'flac', 'flac'],
  ['an MP3 with a tag', Buffer.from('ID3\x04'), 'mp3', 'mp3'],
  ['an ASF', Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'), 'asf', 'asf'],
])('%s is known by its first bytes', ([, head, kind, demuxer]) => {
  expect(sniff(head)).toMatchObject({ kind, demuxer })
})

test.for<[string, Buffer]>([
  ['an empty file', Buffer.alloc(0)],
  ['three bytes', Buffer.from('RIF')],
  ['text', Buffer.from('Dear sir or madam,\n')],
  ['an HLS playlist', Buffer.from('#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n')],
  ['a concat script', Buffer.from('ffconcat version 1.0\nfile /etc/passwd\n')],
  ['a DASH manifest', Buffer.from('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>')],
  ['a session description', Buffer.from('v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n')],
  ['a ZIP', Buffer.from('PK\x03\x04\x14\0\0\0')],
  ['zeros', Buffer.alloc(headLength)],
  ['noughts where a box’s size makes no sense', Buffer.concat([words(3), Buffer.from('moov')])],
  ['text that mentions ftyp', Buffer.from('abcdftypisom')],
  ['a RIFF that is a picture', Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1')],
  ['an EBML file of another type', ebml('diary')],
  ['one stray sync byte', Buffer.concat([Buffer.from('G'), Buffer.alloc(2000)])],
])('%s is given to no demuxer', ([, head]) => {
  expect(sniff(head)).toBeNull()
})
