import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { scrub } from '../connector/fail-on.ts'
import type { Conversion, Convert } from '../connector/platform.ts'
import { asCordboardError, CordboardError } from '../errors.ts'
import { argumentsFor } from './ffmpeg-arguments.ts'
import { createPlaces, type Places } from './places.ts'

/** Longer than any call takes over a slow line to a slow service. */
const LONGEST_MS = 3_600_000
/** It is waited for, and neither takes a byte nor gives one. */
const IDLE_MS = 60_000
/** Of what goes in and of what comes out: a day of telephone audio has 1.4 GB. */
const MOST_BYTES = 2_000_000_000
const MOST_WORDS = 4_096

export interface ConvertOptions {
  /** The program. */
  path: string
  /** What it needs to start, where its libraries lie elsewhere; nothing of our own environment is handed on. */
  env?: NodeJS.ProcessEnv
  /** At once; default one per core. */
  places?: number
  longestMs?: number
  idleMs?: number
  mostBytes?: number
}

/** Where ffmpeg lies, by the PATH; null when it is not installed. */
export function findFfmpeg(path = process.env.PATH ?? ''): string | null {
  const name = process.platform === 'win32' ? 'ffmpeg.exe' : 'ffmpeg'
  const found = path.split(delimiter).find((folder) => folder !== '' && isProgram(join(folder, name)))
  return found === undefined ? null : join(found, name)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    // Not there, or not for us: the next folder.
    return false
  }
}

/**
 * Recordings through ffmpeg, from its standard input to its standard output: nothing touches the disk, no shell is asked,
 * and nothing that came from outside stands in its arguments.
 */
export function createConvert(options: ConvertOptions): Convert {
  const places = createPlaces(options.places ?? availableParallelism())
  return function convert(audio, wish) {
    let running: Conversation | null = null
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            running ??= await start(audio, wish, options, places)
            const chunk = await running.next()
            if (chunk) controller.enqueue(chunk)
            else controller.close()
          } catch (thrown) {
            running?.end()
            controller.error(asCordboardError(thrown))
          }
        },
        async cancel(reason) {
          if (running) running.end()
          else await audio.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
  }
}

interface Conversation {
  /** What it made next; null when it is done, and all is well. */
  next(): Promise<Uint8Array | null>
  end(): void
}

type Ffmpeg = ChildProcessByStdio<Writable, Readable, Readable>

async function start(
  audio: ReadableStream<Uint8Array>,
  wish: Conversion,
  options: ConvertOptions,
  places: Places,
): Promise<Conversation> {
  const { longestMs = LONGEST_MS, idleMs = IDLE_MS, mostBytes = MOST_BYTES } = options
  const { signal } = wish
  const leave = await places.enter(signal).catch(async (error: unknown) => {
    await audio.cancel(error)
    throw error
  })
  const reader = audio.getReader()
  const child: Ffmpeg = spawn(options.path, argumentsFor(wish), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.env ?? {},
    cwd: '/',
    windowsHide: true,
  })
  let failure: CordboardError | undefined
  const fail = (error: CordboardError) => {
    failure ??= error
    child.kill('SIGKILL')
    // What nobody will read would keep it from being seen as closed.
    child.stdout.destroy()
    reader.cancel(error).catch(() => undefined)
  }
  const late = (why: string) =>
    fail(new CordboardError('timeout', 'The recording was not converted in time', { why }))
  const onAbort = () => fail(asCordboardError(signal.reason))
  let idle: NodeJS.Timeout | undefined
  const deadline = setTimeout(() => late(`It took longer than ${longestMs} ms`), longestMs)
  signal.addEventListener('abort', onAbort, { once: true })

  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = `${words}${text}`.slice(0, MOST_WORDS)
  })
  const closed = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      const fix = 'Install ffmpeg again, then restart'
      fail(new CordboardError('config', 'ffmpeg cannot be started', { cause, fix }))
      resolve()
    })
    child.once('close', (code, killedBy) => {
      if (code !== 0) fail(unfit(wish, killedBy ?? `exit code ${code}`, words))
      resolve()
    })
  }).finally(() => {
    clearTimeout(deadline)
    signal.removeEventListener('abort', onAbort)
    leave()
  })
  if (signal.aborted) onAbort()

  feed(reader, child.stdin, { mostBytes, moved: () => idle?.refresh() }).catch((thrown: unknown) =>
    fail(asCordboardError(thrown)),
  )
  const made = child.stdout.iterator({ destroyOnReturn: false })
  let seen = 0
  return {
    async next() {
      idle = setTimeout(() => late(`ffmpeg did nothing for ${idleMs} ms`), idleMs)
      // A stream that breaks off says less than the exit code.
      const { done, value } = await made.next().catch(() => END)
      clearTimeout(idle)
      if (!done && !failure) {
        seen += value.byteLength
        const most = Math.min(mostBytes, wish.maxBytes ?? mostBytes)
        if (seen <= most) return value
        fail(tooLarge(`made ${wish.to}`, most))
      }
      await closed
      if (failure) throw failure
      return null
    },
    end: () => fail(new CordboardError('timeout', 'Nobody reads the converted recording any more')),
  }
}

/** As fast as it takes the bytes, and no faster than they come. */
async function feed(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stdin: Writable,
  { mostBytes, moved }: { mostBytes: number; moved: () => void },
): Promise<void> {
  // It may have heard enough, or be gone: its exit code says which.
  let isShut = false
  const shut = new Promise<void>((resolve) => {
    const end = () => {
      isShut = true
      resolve()
    }
    stdin.once('error', end).once('close', end)
  })
  for (let seen = 0; !isShut; ) {
    const { done, value } = await reader.read()
    moved()
    if (done) break
    seen += value.byteLength
    if (seen > mostBytes) throw tooLarge('recording', mostBytes)
    if (!stdin.write(value)) {
      await Promise.race([new Promise((resolve) => stdin.once('drain', resolve)), shut])
    }
  }
  if (isShut) await reader.cancel()
  else stdin.end()
}

const END = { done: true, value: undefined } as const

const tooLarge = (what: string, most: number) =>
  new CordboardError('too_large', `The ${what} has more than ${most} bytes`)

function unfit({ from, to }: Conversion, how: string, words: string): CordboardError {
  return new CordboardError('rejected', `The recording could not be made ${to} from ${from} (${how})`, {
    why: scrub(words.trim()).slice(0, 200) || 'ffmpeg gave no reason',
    fix: 'Listen to the recording in the phone system: it may be damaged, or of another format than it says',
  })
}
