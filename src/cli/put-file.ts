import { once } from 'node:events'
import { request as http, type IncomingMessage } from 'node:http'
import { request as https } from 'node:https'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { CordboardError } from '../errors.ts'

export interface FileToSend {
  url: string
  headers: Record<string, string>
  bytes: number
  body: ReadableStream<Uint8Array>
  signal: AbortSignal
}

/**
 * A PUT that announces its length, which stores want and `fetch` does not say of a stream. A server that refuses early is
 * heard, though the body was not sent to its end.
 */
export async function putFile({ url, headers, bytes, body, signal }: FileToSend): Promise<Response> {
  const send = url.startsWith('https:') ? https : http
  const request = send(url, { method: 'PUT', headers: { ...headers, 'content-length': bytes }, signal })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  answered.catch(() => undefined)
  const sent = pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), request)
  try {
    await Promise.race([sent, answered])
    const [response] = await answered
    // What is said is more than that the rest was not wanted.
    sent.catch(() => undefined)
    return new Response(await text(response), { status: response.statusCode ?? 500 })
  } catch (cause) {
    throw new CordboardError('internal', `The upload to ${new URL(url).origin} broke off`, {
      fix: 'Run the same command again: it goes on',
      cause,
    })
  }
}
