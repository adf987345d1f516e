/** Called by make-recordings.sh, which checks for the tools. The same tool versions give the same bytes. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatTranscript, type Turn } from '../src/call/roles.ts'
import { type CarriedTranscript, TXXX_DESCRIPTION } from '../src/sandbox/recordings.ts'
import { DIALOGUES, type Dialogue } from './recording-dialogues.ts'

/** Silence before the first word and between turns. */
const PAUSE_S = 0.25
const out = new URL('../src/sandbox/recordings/', import.meta.url).pathname
const work = mkdtempSync(join(tmpdir(), 'recordings-'))
const run = (tool: string, ...args: string[]): string =>
  execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

type Track = 'agent' | 'customer'
const speaker = (i: number): Track => (i % 2 === 0 ? 'agent' : 'customer')

/** Both tracks as one stereo file at 16 kHz: left is the customer, right the agent. */
function speak(dialogue: Dialogue): { file: string; durationMs: number } {
  const tracks: Record<Track, string[]> = { agent: [], customer: [] }
  let at = PAUSE_S
  for (const [i, line] of dialogue.lines.entries()) {
    const said = join(work, `${dialogue.name}-${i}.wav`)
    const padded = join(work, `${dialogue.name}-${i}-padded.wav`)
    const raw = join(work, 'raw.wav')
    run('espeak-ng', '-v', dialogue.voices[speaker(i)], '-s', '185', '-z', '-w', raw, line)
    run(
      'sox',
      '-R',
      raw,
      '-r',
      '16000',
      '-c',
      '1',
      '-b',
      '16',
      said,
      'silence',
      '1',
      '0.01',
      '0.2%',
      'gain',
      '-n',
      '-6',
    )
    run('sox', '-R', said, padded, 'pad', String(at), '0')
    tracks[speaker(i)].push(padded)
    at += Number(run('soxi', '-D', said)) + PAUSE_S
  }
  const mono = (track: Track): string => {
    const file = join(work, `${dialogue.name}-${track}.wav`)
    const parts = tracks[track]
    // Mixed at full volume (sox would divide it by their number), then brought to the length of the call.
    const mix = parts.length > 1 ? ['-m', ...parts.flatMap((part) => ['-v', '1', part])] : parts
    run('sox', '-R', ...mix, file, 'pad', '0', '60', 'trim', '0', String(at))
    return file
  }
  const file = join(work, `${dialogue.name}.wav`)
  run('sox', '-R', '-M', mono('customer'), mono('agent'), file)
  return { file, durationMs: Math.round(at * 1000) }
}

const bytesOf = (...parts: (string | number[] | Uint8Array)[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : Buffer.from(part))),
  )
const syncsafe = (n: number): number[] => [(n >> 21) & 127, (n >> 14) & 127, (n >> 7) & 127, n & 127]
const little = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255]

/** An ID3v2.4 tag in UTF-8: TIT2, the transcript in USLT, the rest as JSON in TXXX. */
function id3({ transcript, ...rest }: CarriedTranscript): Uint8Array {
  const frame = (id: string, body: Uint8Array) => bytesOf(id, syncsafe(body.length), [0, 0], body)
  const language = rest.language === 'ru' ? 'rus' : 'eng'
  const frames = bytesOf(
    frame('TIT2', bytesOf([3], rest.title)),
    frame('USLT', bytesOf([3], language, [0], transcript)),
    frame('TXXX', bytesOf([3], TXXX_DESCRIPTION, [0], JSON.stringify(rest))),
  )
  return bytesOf('ID3', [4, 0, 0], syncsafe(frames.length), frames)
}

/** The WAV with a LIST/INFO chunk (ICMT holds all of it as JSON) before its data, where a reader meets it first. */
function withComment(wav: Uint8Array, carried: CarriedTranscript): Uint8Array {
  const chunk = (id: string, body: Uint8Array) =>
    bytesOf(id, little(body.length), body, body.length % 2 ? [0] : [])
  const list = chunk('LIST', bytesOf('INFO', chunk('ICMT', bytesOf(JSON.stringify(carried), [0]))))
  const data = Buffer.from(wav).indexOf('data', 12, 'latin1')
  const body = bytesOf('WAVE', wav.subarray(12, data), list, wav.subarray(data))
  return bytesOf('RIFF', little(body.length), body)
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
let total = 0
for (const dialogue of DIALOGUES) {
  const { file, durationMs } = speak(dialogue)
  const { language, title, summary, sentiment, topics, actions, tags } = dialogue
  const turns: Turn[] = dialogue.lines.map((text, i) => ({ party: speaker(i), text }))
  const transcript = formatTranscript(turns, tags)
  const carried: CarriedTranscript = {
    transcript,
    language,
    title,
    summary,
    sentiment,
    topics,
    actions,
    durationMs,
  }

  const mp3 = join(work, 'out.mp3')
  run('lame', '--silent', '-t', '-b', '24', '--resample', '16', '-m', 'j', '-q', '2', file, mp3)
  const files: [string, Uint8Array][] = [[`${dialogue.name}.mp3`, bytesOf(id3(carried), readFileSync(mp3))]]
  if (dialogue.wav) {
    const wav = join(work, 'out.wav')
    run('sox', '-R', file, '-r', '8000', '-e', 'u-law', '-b', '8', wav)
    files.push([`${dialogue.name}.wav`, withComment(readFileSync(wav), carried)])
  }
  for (const [name, bytes] of files) {
    writeFileSync(join(out, name), bytes)
    total += bytes.length
    console.log(`${name} ${durationMs} ms ${bytes.length} bytes`)
  }
}
rmSync(work, { recursive: true })
console.log(`${total} bytes in all`)
