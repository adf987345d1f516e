import {
  type AnalysisRole,
  defineConnector,
  type SubmitContext,
  type SubmitRequest,
} from '../../src/connector/contract.ts'
import { utf8 } from '../../src/connector/encoding.ts'
import { readBounded, scrub } from '../../src/connector/fail-on.ts'
import { parseJson } from '../../src/connector/json.ts'
import { CordboardError } from '../../src/errors.ts'
import { addCall, addCallByForm, addCallByUrl, probe } from './client.ts'
import { toFields } from './map.ts'
import { operations } from './operations.ts'
import { type Config, config, taken } from './schema.ts'

/** A reply is a few fields; what is longer is none of theirs. */
const MOST_REPLY = 65_536

/** There is no request that reads: results stay in Resonaa's own pages, and nobody can ask whether a call got there. */
const analysis: AnalysisRole<Config> = {
  accepts: ({ submitBy, maxBytes }) => ({
    audio: {
      formats: ['mp3', 'wav', 'm4a', 'webm', 'mp4'],
      by: [submitBy === 'file' ? 'file' : 'url'],
      ...(submitBy === 'file' ? { maxBytes } : {}),
    },
  }),
  parts: () => [],
  async submit(request, ctx) {
    const response = await send(request, ctx)
    const reply = taken.safeParse(read(await readBounded(response, MOST_REPLY))).data
    if (reply?.success === false) {
      throw new CordboardError('rejected', 'Resonaa did not take the call', {
        vendorSaid: scrub(reply.message ?? 'no reason given'),
      })
    }
    // It has the call: to fail now would have it sent, and paid for, somewhere else as well.
    if (!reply?.call_id) ctx.log.warn('Resonaa took a call without naming its own id of it')
    return { ref: reply?.call_id ?? `order ${request.call.id}` }
  },
}

async function send({ call, audio }: SubmitRequest, ctx: SubmitContext<Config>): Promise<Response> {
  if (!audio) throw new CordboardError('rejected', 'Resonaa takes audio, and this call has none')
  const fields = toFields(call, ctx.config)
  if (ctx.config.submitBy === 'file') {
    return addCall(fields, { fileName: audio.fileName, ...(await audio.open()) }, ctx)
  }
  const url = await audio.url()
  if (url === null) {
    throw new CordboardError('rejected', 'The phone system gives no link to this recording', {
      fix: 'Set submitBy: "file" for this connection, then rerun the call',
    })
  }
  return (ctx.config.submitBy === 'url' ? addCallByUrl : addCallByForm)(fields, url, ctx)
}

/** Null for what is no JSON. */
function read(text: string): unknown {
  try {
    return parseJson(utf8(text))
  } catch {
    // The status has said already that the call was taken.
    return null
  }
}

export const connector = defineConnector({
  id: 'resonaa',
  name: 'Resonaa',
  docs: 'https://resonaa.com/developer',
  config,
  async check(ctx) {
    await probe(ctx)
    return { says: 'key not refused; results are seen in Resonaa only' }
  },
  analysis,
  operations,
})
