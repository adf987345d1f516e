import type { AudioFormat } from '../connector/contract.ts'
import type { Conversion, MadeFormat } from '../connector/platform.ts'

/** How ffmpeg calls what reads each format. Given beforehand, nothing guesses: a playlist that calls itself audio is none. */
const READ_BY: Record<AudioFormat, string> = {
  mp3: 'mp3',
  wav: 'wav',
  ogg: 'ogg',
  flac: 'flac',
  m4a: 'mov',
  mp4: 'mov',
  webm: 'matroska',
  aiff: 'aiff',
  au: 'au',
}
/** Demuxers are known by all of their names at once. */
const ALSO: Partial<Record<string, string>> = {
  mov: 'mov,mp4,m4a,3gp,3g2,mj2',
  matroska: 'matroska,webm',
}

/** What telephony and its stores use: of the hundreds of decoders no others are within reach of a hostile file. */
const DECODERS = [
  ...['pcm_alaw', 'pcm_mulaw', 'pcm_u8', 'pcm_s8', 'pcm_s16le', 'pcm_s16be', 'pcm_s24le', 'pcm_s24be'],
  ...['pcm_s32le', 'pcm_s32be', 'pcm_f32le', 'pcm_f32be', 'adpcm_ima_wav', 'adpcm_ms', 'gsm', 'gsm_ms'],
  ...['mp3', 'mp3float', 'aac', 'alac', 'opus', 'libopus', 'vorbis', 'libvorbis', 'flac'],
]

/** 64 kbit/s is in every MPEG version: telephone audio of 8 kHz takes no more. */
const MADE_BY: Record<MadeFormat, readonly string[]> = {
  mp3: ['-c:a', 'libmp3lame', '-b:a', '64k', '-write_xing', '0', '-id3v2_version', '0', '-f', 'mp3'],
  ogg: ['-c:a', 'libopus', '-b:a', '48k', '-f', 'ogg'],
  flac: ['-c:a', 'flac', '-f', 'flac'],
  wav: ['-c:a', 'pcm_s16le', '-f', 'wav'],
}

const MOST_SECONDS = 86_400
const MOST_MEMORY = 256 * 1024 * 1024
const TRACKS = { left: 'pan=mono|c0=c0', right: 'pan=mono|c0=c1' }

/** From standard input to standard output; every word is ours. */
export function argumentsFor({ from, to, track }: Pick<Conversion, 'from' | 'to' | 'track'>): string[] {
  const reader = READ_BY[from]
  return [
    ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-max_alloc', String(MOST_MEMORY)],
    // A file may name others, on this machine or elsewhere: nothing but the pipe is opened.
    ...['-protocol_whitelist', 'pipe', '-format_whitelist', ALSO[reader] ?? reader],
    ...['-codec_whitelist', DECODERS.join(','), '-threads', '1', '-f', reader, '-i', 'pipe:0'],
    ...['-map', '0:a:0', '-vn', '-sn', '-dn', '-map_metadata', '-1', '-map_chapters', '-1'],
    ...(track === undefined ? [] : ['-af', TRACKS[track]]),
    ...['-t', String(MOST_SECONDS), '-threads', '1', ...MADE_BY[to], 'pipe:1'],
  ]
}
