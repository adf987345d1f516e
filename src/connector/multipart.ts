import { CordboardError } from '../errors.ts'
import { relay } from './relay.ts'

export interface MultipartFile {
  /** Name of the form field. */
  name: string
  fileName: string
  contentType: string
  body: ReadableStream<Uint8Array>
  /** Null when the source does not tell its size beforehand. */
  bytes: number | null
}

export interface MultipartBody {
  contentType: string
  /** Of the whole body; null when the file's size is not known. */
  contentLength: number | null
  body: ReadableStream<Uint8Array>
}

/**
 * A multipart/form-data body with text fields and one file, which stands last. The platform's FormData holds the whole
 * file in memory; this one asks the file for its next chunk only when its own reader asks.
 *
 * `boundary` is chosen by the caller, from `ctx.random`: letters, digits, `-` and `_`.
 *
 * @example
 * const form = multipart({ language: 'uz' }, { name: 'file', fileName: 'call_1.mp3', ...audio }, boundary)
 * await ctx.fetch(url, {
 *   method: 'POST',
 *   headers: { 'content-type': form.contentType, 'content-length': String(form.contentLength) },
 *   body: form.body,
 * })
 */
export function multipart(
  fields: Readonly<Record<string, string>>,
  file: MultipartFile,
  boundary: string,
): MultipartBody {
  if (!/^[\w-]{1,70}$/.test(boundary)) throw unfit('The multipart boundary is not plain')
  if (!/^[\x20-\x7e]+$/.test(file.contentType)) throw unfit('The content type holds a control character')

  const parts = Object.entries(fields).map(([name, value]) => {
    if (name.includes(boundary) || value.includes(boundary)) {
      throw unfit(`The field ${JSON.stringify(quoted(name))} holds the multipart boundary`)
    }
    return `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`
  })
  const fileHead =
    `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(file.name)}"; ` +
    `filename="${quoted(file.fileName)}"\r\nContent-Type: ${file.contentType}\r\n\r\n`

  const encoder = new TextEncoder()
  const head = encoder.encode(parts.join('') + fileHead)
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`)
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    contentLength: file.bytes === null ? null : head.length + file.bytes + tail.length,
    body: framed(head, file, tail),
  }
}

function framed(head: Uint8Array, file: MultipartFile, tail: Uint8Array): ReadableStream<Uint8Array> {
  let came = 0
  // A body that does not keep its announced length would leave the vendor waiting, or cut the end off.
  const keepsWord = (isRight: boolean) => {
    if (isRight) return
    throw new CordboardError('vendor_down', 'The recording has not the size that was announced', {
      why: `${came} bytes came, ${file.bytes} were announced`,
    })
  }
  return relay(file.body, {
    head,
    seen({ byteLength }) {
      came += byteLength
      keepsWord(file.bytes === null || came <= file.bytes)
    },
    end() {
      keepsWord(file.bytes === null || came === file.bytes)
      return tail
    },
  })
}

/**
 * A name inside a quoted header parameter, escaped as browsers do (`"`, CR and LF become percent escapes; HTML standard,
 * "multipart/form-data encoding algorithm"), so that no name can end its header.
 */
function quoted(name: string): string {
  if (name.includes('\0')) throw unfit('A form field or file name holds a NUL')
  return name.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22')
}

const unfit = (message: string) => new CordboardError('invalid_payload', message)
