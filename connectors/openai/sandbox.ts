import { type Context, Hono } from 'hono'
import { parseTranscript } from '../../src/call/roles.ts'
import { type CreateSandbox, createFaults, type SampleTranscript } from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of an OpenAI-compatible server, written from the API reference: both answers come at once, and nothing is kept but
 * what was used. It fails as such servers do: errors as `{error: {message, type, param, code}}`, 400 for a model that knows no
 * verbose_json, 413 for too much. Of a file that ends in `-left` or `-right` it hears one party: in the sample
 * recordings the customer is on the left. Its analysis repeats what a sample says of itself.
 */
const MOST_BYTES = 26_214_400
const FORMATS = /\.(?:flac|mp3|mp4|mpeg|mpga|m4a|ogg|wav|webm)$/i
const NO_SAMPLE = 'This audio carries no sample transcript.'

interface Spoken {
  start: number
  end: number
  text: string
}

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const used = { transcriptions: 0, completions: 0, messages: 0, requestIds: [] as string[] }
  const heard = new Map<string, SampleTranscript>()
  const app = new Hono()
  app.use(faults.middleware)
  app.use(async (c, next) => {
    const key = c.req.path.includes('/audio/') ? (account.transcriptionKey ?? account.apiKey) : account.apiKey
    if (key === undefined || c.req.header('authorization') === `Bearer ${key}`) return next()
    return refuse(c, 401, 'Incorrect API key provided', 'invalid_api_key')
  })
  const note = (c: Context) => used.requestIds.push(c.req.header('x-client-request-id') ?? '')

  const transcribe = async (c: Context) => {
    const form = await c.req.formData().catch(() => null)
    const file = form?.get('file')
    if (!form || !(file instanceof File))
      return refuse(c, 400, 'file is required', 'missing_required_parameter')
    const model = form.get('model')
    const format = form.get('response_format') ?? 'json'
    if (typeof model !== 'string') return refuse(c, 400, 'model is required', 'missing_required_parameter')
    if (!FORMATS.test(file.name)) return refuse(c, 400, 'Invalid file format.', 'invalid_value')
    if (file.size > MOST_BYTES)
      return refuse(c, 413, `Maximum content size limit (${MOST_BYTES}) exceeded`, null)
    if (format === 'verbose_json' && /^gpt-4o/.test(model)) {
      return refuse(
        c,
        400,
        `response_format '${format}' is not compatible with model '${model}'.`,
        'unsupported_value',
      )
    }
    used.transcriptions++
    note(c)
    const sample = options.transcriptOf(new Uint8Array(await file.arrayBuffer()))
    const spoken = spokenIn(sample, /-(left|right)\.\w+$/.exec(file.name)?.[1])
    const text = spoken.map((one) => one.text).join(' ')
    if (sample) for (const one of spoken) heard.set(one.text, sample)
    if (format === 'json') return c.json({ text })
    const segments = spoken.map((one, id) => ({ id, ...one, avg_logprob: -0.2, no_speech_prob: 0.01 }))
    const duration = (sample?.durationMs ?? 0) / 1000
    return c.json({ task: 'transcribe', language: sample?.language ?? 'en', duration, text, segments })
  }

  const complete = async (c: Context) => {
    const asked = (await c.req.json().catch(() => ({}))) as Asked
    if (!asked.model || !Array.isArray(asked.messages)) {
      return refuse(c, 400, 'model and messages are required', 'missing_required_parameter')
    }
    used.completions++
    used.messages = asked.messages.length
    note(c)
    const said = asked.messages.map(({ content }) => content).join('\n')
    const sample = [...heard].find(([text]) => said.includes(JSON.stringify(text).slice(1, -1)))?.[1]
    const message = {
      role: 'assistant',
      content: JSON.stringify(answer(sample ?? null, asked)),
      refusal: null,
    }
    return c.json({
      id: `chatcmpl-${used.completions}`,
      object: 'chat.completion',
      model: asked.model,
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: { prompt_tokens: said.length, completion_tokens: message.content.length },
    })
  }

  const list = (c: Context) =>
    c.json({
      object: 'list',
      data: [account.transcriptionModel, account.analysisModel].map((id) => ({ id })),
    })

  for (const version of ['', '/v1']) {
    app.post(`${version}/audio/transcriptions`, transcribe)
    app.post(`${version}/chat/completions`, complete)
    app.get(`${version}/models`, list)
  }

  return {
    app,
    fail: faults.fail,
    book: () => [{ kind: 'usage', id: 'usage', key: null, fields: { ...used } }],
  }
}

interface Asked {
  model?: string
  messages?: { role: string; content: string }[]
  response_format?: { json_schema?: { schema?: { properties?: Record<string, { properties?: object }> } } }
}

function refuse(c: Context, status: 400 | 401 | 413, message: string, code: string | null) {
  return c.json({ error: { message, type: 'invalid_request_error', param: null, code } }, status)
}

function spokenIn(sample: SampleTranscript | null, side: string | undefined): Spoken[] {
  if (!sample) return [{ start: 0, end: 1, text: NO_SAMPLE }]
  const turns = parseTranscript(sample.transcript)
  const step = sample.durationMs / 1000 / turns.length
  const party = side && (side === 'left' ? 'customer' : 'agent')
  return turns
    .map((turn, n) => ({ ...turn, start: n * step, end: (n + 1) * step }))
    .filter((turn) => party === undefined || turn.party === party)
    .map(({ start, end, text }) => ({ start, end, text }))
}

/** As the schema asks: a member for each of its questions and scores. */
function answer(sample: SampleTranscript | null, asked: Asked): Record<string, unknown> {
  const wanted = asked.response_format?.json_schema?.schema?.properties ?? {}
  const each = (name: string, value: unknown) =>
    Object.fromEntries(Object.keys(wanted[name]?.properties ?? {}).map((key) => [key, value]))
  return {
    title: sample?.title ?? 'Unknown audio',
    summary: sample?.summary ?? NO_SAMPLE,
    sentiment: sample?.sentiment ?? 'neutral',
    topics: sample?.topics ?? [],
    actions: sample?.actions ?? [],
    risks: [],
    sales_signals: [],
    ...(wanted.scores && { scores: each('scores', 7) }),
    ...(wanted.checklist && { checklist: each('checklist', { answer: 'Yes', evidence: null }) }),
    ...(wanted.categories && { categories: [] }),
  }
}
