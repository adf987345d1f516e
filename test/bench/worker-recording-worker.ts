import { multipart } from '../../src/connector/multipart.ts'
import { relay } from '../../src/connector/relay.ts'
import { createConnections } from '../../src/worker/connections.ts'
import { createWorkerFetch } from '../../src/worker/http-fetch.ts'

/** The Worker of worker-recording.ts: `/<port of the source>/<port of the sink>/<bytes>` carries a recording across. */
export default {
  async fetch(asked: Request): Promise<Response> {
    const [, from, to, size] = new URL(asked.url).pathname.split('/')
    const bytes = Number(size)
    const fetchFrom = createWorkerFetch({ connections: createConnections() })
    const request = {
      headers: {},
      signal: asked.signal,
      timeoutMs: 30_000,
      maxBytes: 4 * 1024 ** 3,
      redirects: 0,
      allowPrivate: ['127.0.0.1'],
    }
    const audio = await fetchFrom(new URL(`http://127.0.0.1:${from}/${bytes}`), { ...request, method: 'GET' })
    if (!audio.body) throw new Error('the source sent no body')
    // As the pipeline watches it for breaking off.
    const body = relay(audio.body, {})
    const file = { name: 'file', fileName: 'call.wav', contentType: 'audio/wav', body, bytes }
    const form = multipart({ language: 'uz' }, file, 'cordboard-bench')
    const answer = await fetchFrom(new URL(`http://127.0.0.1:${to}/`), {
      ...request,
      method: 'POST',
      headers: { 'content-type': form.contentType, 'content-length': String(form.contentLength) },
      body: form.body,
    })
    const got = (await answer.json()) as { bytes: number }
    if (got.bytes !== form.contentLength) throw new Error(`the sink counted ${got.bytes} bytes`)
    return Response.json(got)
  },
}
