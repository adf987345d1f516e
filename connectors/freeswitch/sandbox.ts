import { Hono } from 'hono'
import { encodeBase64, utf8 } from '../../src/connector/encoding.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { config } from './schema.ts'

/**
 * A stand-in of a switch with mod_json_cdr: one post for each leg (of an inbound call also for an extension that rang in
 * vain), the called legs first, and the recordings in a folder behind Basic authentication.
 */
interface Kept {
  call: SampleCall
  uuid: string
  file: string | null
  webhooks: SandboxWebhook[]
}

const MEDIA_TYPES: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/x-wav' }
const CAUSES = { answered: 'NORMAL_CLEARING', no_answer: 'NO_ANSWER', busy: 'USER_BUSY' } as const
const Q850 = { answered: '16', no_answer: '19', busy: '17' } as const

export const createSandbox: CreateSandbox = (options) => {
  const account = config.parse(options.account)
  const faults = createFaults()
  const calls = new Map<string, Kept>()
  const app = new Hono()
  app.use(faults.middleware)
  app.use(async (c, next) => {
    const { user, password } = account
    const wanted = user === undefined ? undefined : `Basic ${encodeBase64(utf8(`${user}:${password}`))}`
    if (wanted === undefined || c.req.header('authorization') === wanted) return next()
    return c.text('401 Authorization Required', 401, { 'www-authenticate': 'Basic realm="recordings"' })
  })
  app.get('*', (c) => {
    const { pathname } = new URL(c.req.url)
    if (pathname === '/') return c.text('403 Forbidden', 403)
    const kept = [...calls.values()].find(({ file }) => file !== null && pathname === `/${file}`)
    if (!kept?.call.audio) return c.text('404 Not Found', 404)
    const { bytes, format } = kept.call.audio
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': MEDIA_TYPES[format] ?? 'application/octet-stream',
      'content-length': String(bytes.length),
    })
  })

  const uuid = () => {
    const hex = (digits: number) =>
      Math.floor(options.random() * 16 ** digits)
        .toString(16)
        .padStart(digits, '0')
    return [hex(8), hex(4), `4${hex(3)}`, `a${hex(3)}`, hex(6) + hex(6)].join('-')
  }

  function play(call: SampleCall): Kept {
    const isInbound = call.direction === 'inbound'
    const isAnswered = call.result === 'answered'
    const [own, caller, called] = [call.agent.extension, uuid(), uuid()]
    const answeredAt = call.startedAt + call.ringMs
    const endedAt = answeredAt + (isAnswered ? call.talkMs : 0)
    const day = new Date(call.startedAt).toISOString().slice(0, 10).replaceAll('-', '/')
    const file = isAnswered && call.audio ? `${day}/${caller}.${call.audio.format}` : null
    const profile = isInbound ? (account.profiles[0] ?? 'external') : 'internal'
    const outside = `sofia/${account.profiles[0] ?? 'external'}/${call.customerPhone}@carrier.example.com`
    const inside = `sofia/internal/${own}@pbx.example.com`

    const leg = (id: string, channel: string, over: { answered: boolean; cause: string; q850: string }) => ({
      'core-uuid': '0d9f4c1e-5f1d-4b7e-9f58-6c1f2f0f7a01',
      switchname: 'sandbox',
      channel_data: { state: 'CS_REPORTING', direction: id === caller ? 'inbound' : 'outbound' },
      variables: {
        uuid: id,
        direction: id === caller ? 'inbound' : 'outbound',
        channel_name: channel,
        sofia_profile_name: profile,
        start_epoch: epoch(call.startedAt),
        start_uepoch: micros(call.startedAt),
        answer_epoch: over.answered ? epoch(answeredAt) : '0',
        answer_uepoch: over.answered ? micros(answeredAt) : '0',
        bridge_epoch: over.answered ? epoch(answeredAt) : '0',
        end_epoch: epoch(endedAt),
        end_uepoch: micros(endedAt),
        duration: String(Math.round((endedAt - call.startedAt) / 1000)),
        billsec: over.answered ? String(Math.round(call.talkMs / 1000)) : '0',
        hangup_cause: over.cause,
        hangup_cause_q850: over.q850,
        ...(over.answered ? { bridge_uuid: id === caller ? called : caller } : {}),
        ...(id === caller && file !== null ? { RECORD_STEREO: 'true', record_ms: String(call.talkMs) } : {}),
      },
    })
    const profiles = {
      [caller]: {
        username: isInbound ? '' : own,
        caller_id_name: isInbound ? call.customerPhone : call.agent.name,
        caller_id_number: isInbound ? call.customerPhone : own,
        destination_number: isInbound ? call.ownPhone.replace('+', '') : call.customerPhone,
        uuid: caller,
        chan_name: isInbound ? outside : inside,
      },
      [called]: {
        username: isInbound ? '' : own,
        caller_id_number: isInbound ? call.customerPhone : call.ownPhone,
        callee_id_name: isInbound ? call.agent.name : 'Outbound Call',
        destination_number: isInbound ? own : call.customerPhone,
        uuid: called,
        chan_name: isInbound ? inside : outside,
      },
    }
    const ended = { answered: isAnswered, cause: CAUSES[call.result], q850: Q850[call.result] }
    const times = {
      answered_time: isAnswered ? micros(answeredAt) : '0',
      bridged_time: isAnswered ? micros(answeredAt) : '0',
    }
    const originator = { originator_caller_profiles: [profiles[caller]] }
    const root = {
      ...leg(caller, profiles[caller]?.chan_name ?? '', ended),
      app_log: {
        applications: [
          ...(file === null
            ? []
            : [{ app_name: 'record_session', app_data: `${account.recordingsPath}/${file}` }]),
          { app_name: 'bridge', app_data: `user/${own}` },
        ],
      },
      callflow: [
        {
          caller_profile: {
            ...profiles[caller],
            originatee: { originatee_caller_profiles: [profiles[called]] },
          },
          times,
        },
      ],
    }
    const other = {
      ...leg(called, profiles[called]?.chan_name ?? '', ended),
      app_log: { applications: [] },
      callflow: [{ caller_profile: { ...profiles[called], originator }, times }],
    }
    const beside = uuid()
    const rang = { ...profiles[called], uuid: beside, callee_id_name: '', destination_number: '199' }
    const lost = {
      ...leg(beside, 'sofia/internal/199@pbx.example.com', {
        answered: false,
        cause: 'LOSE_RACE',
        q850: '502',
      }),
      callflow: [
        { caller_profile: { ...rang, originator }, times: { answered_time: '0', bridged_time: '0' } },
      ],
    }
    const posts = [...(isInbound && isAnswered ? [lost] : []), other, root]
    return { call, uuid: caller, file, webhooks: posts.map(post) }
  }

  return {
    app,
    fail: faults.fail,
    book: () =>
      [...calls].flatMap(([key, { uuid: id, file, call }]) => [
        { kind: 'call', id, key, fields: { direction: call.direction, result: call.result } },
        ...(file === null ? [] : [{ kind: 'recording', id: file, key, fields: {} }]),
      ]),
    place(call) {
      const kept = calls.get(call.id) ?? play(call)
      calls.set(call.id, kept)
      return kept.webhooks
    },
  }
}

const epoch = (ms: number) => String(Math.floor(ms / 1000))
const micros = (ms: number) => `${ms}000`

const post = (record: { variables: { uuid: string } }, nth: number): SandboxWebhook => ({
  says: `leg ${nth + 1}`,
  method: 'POST',
  path: '',
  query: `uuid=${record.variables.uuid}`,
  headers: { 'content-type': 'application/json', 'user-agent': 'freeswitch-json/1.0' },
  body: JSON.stringify(record),
})
