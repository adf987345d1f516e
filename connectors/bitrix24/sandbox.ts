import { type Context, Hono } from 'hono'
import { asObject } from '../../src/connector/json.ts'
import {
  type CreateSandbox,
  createFaults,
  type SampleCall,
  type SandboxRecord,
  type SandboxWebhook,
} from '../../src/connector/sandbox.ts'
import { bindings, placeOf } from './sandbox/bindings.ts'
import { duplicates } from './sandbox/duplicates.ts'
import {
  answer,
  type Fields,
  isZoned,
  keyOf,
  MESSAGE,
  refused,
  type Said,
  type Stored,
  text,
  unknown,
  zoned,
} from './sandbox/said.ts'
import { config } from './schema.ts'

/**
 * A stand-in of a Bitrix24 portal, written from its documentation: tokens of an hour whose renewal brings the next refresh
 * token, an incoming webhook that may not register calls, the leaky bucket, registrations that are recognised for 30
 * minutes, statistics that know a call only when it is finished, comments, to-dos, duplicates that show after a while.
 * What a second transcript, or a second finish of one call, does is not documented: here both are refused.
 */
type Method = (params: Fields) => Said

const TOKEN_MS = 3_600_000
const INDEX_LAG_MS = 30_000
const DEDUPE_MS = 1_800_000
const BUCKET = 50
const PAGE = 50
const APPLICATION_ONLY = [
  'telephony.externalCall.register',
  'telephony.externalCall.finish',
  'event.bind',
  'event.get',
]
const CODES = { answered: '200', no_answer: '304', busy: '486' } as const

export const createSandbox: CreateSandbox = ({ now, random, baseUrl, account: given }) => {
  const account = config.parse(given)
  const faults = createFaults()
  const records = new Map<string, Stored>()
  const registrations: { id: string; key: string; at: number; params: Fields }[] = []
  const audio = new Map<string, Uint8Array>()
  const tokens = new Map<string, number>()
  const handlers: { event: string; handler: string; auth_type: string; offline: number }[] = []
  let refreshToken = account.refreshToken ?? ''
  let lastId = 100
  let bucket = { level: 0, at: now() }
  const { fallback = '1', map } = account.owners
  const users = [...new Set([fallback, ...Object.values(map)])].map((ID) => ({
    ID,
    EMAIL: `user${ID}@example.com`,
  }))
  users.push({ ID: '12', EMAIL: 'alice.martin@example.com' })

  function nextId(): string {
    lastId += 1 + Math.floor(random() * 50)
    return String(lastId)
  }
  const hex = () => Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')

  function store(kind: string, fields: Fields, id = nextId(), searchableAt = now() + INDEX_LAG_MS): Stored {
    const record: Stored = { kind, id, fields, searchableAt, on: [] }
    records.set(`${kind}/${id}`, record)
    return record
  }
  function standing(kind: string, fields: Fields, on: string): Stored {
    const record = store(kind, fields)
    record.on.push(on)
    return record
  }
  const of = (kind: string) => [...records.values()].filter((record) => record.kind === kind)
  const get = (kind: string, id: unknown) => records.get(`${kind}/${text(id)}`)

  // ── Methods ───────────────────────────────────────────────────────────────────────────────────────────────────────

  const methods: Record<string, Method> = {
    ...bindings(
      (kind, id) => get(kind, id),
      (activity) =>
        get('todo', activity) ?? of('call').find(({ fields }) => text(fields.CRM_ACTIVITY_ID) === activity),
    ),
    scope: () => ({ result: ['crm', 'telephony', 'user_basic'] }),
    'user.get': ({ FILTER }) => {
      const email = text(asObject(FILTER)?.EMAIL).toLowerCase()
      return { result: users.filter(({ EMAIL }) => email === '' || EMAIL === email) }
    },
    'event.get': () => ({ result: handlers }),
    'event.bind': ({ event, handler }) => {
      handlers.push({ event: text(event), handler: text(handler), auth_type: '0', offline: 0 })
      return { result: true }
    },
    'crm.duplicate.findbycomm': (params) => duplicates(params, (kind) => of(kind), now()),
    'crm.timeline.comment.add': ({ fields }) => {
      const { ENTITY_TYPE, ENTITY_ID, COMMENT } = asObject(fields) ?? {}
      if (!get(text(ENTITY_TYPE), ENTITY_ID))
        return refused('OWNER_NOT_FOUND', 'Owner of the element not found')
      if (text(COMMENT).trim() === '') return refused('INVALID_ARG_VALUE', 'Empty comment')
      return {
        result: Number(
          standing('comment', { ENTITY_TYPE, ENTITY_ID, COMMENT }, `${text(ENTITY_TYPE)}/${text(ENTITY_ID)}`)
            .id,
        ),
      }
    },
    'crm.timeline.comment.update': ({ id, fields }) => {
      const comment = get('comment', id)
      if (!comment) return refused('NOT_FOUND', 'Not found.')
      Object.assign(comment.fields, { COMMENT: asObject(fields)?.COMMENT })
      return { result: Number(comment.id) }
    },
    'crm.timeline.comment.list': (params) => {
      const { ENTITY_TYPE, ENTITY_ID } = asObject(params.filter) ?? {}
      return newest(of('comment').filter(({ on }) => on.includes(`${text(ENTITY_TYPE)}/${text(ENTITY_ID)}`)))
    },
    'crm.activity.todo.add': ({ ownerTypeId, ownerId, deadline, title, description, responsibleId }) => {
      if (!get(placeOf(ownerTypeId, '').slice(0, -1), ownerId))
        return refused('OWNER_NOT_FOUND', 'Owner not found')
      if (!isZoned(deadline)) return refused('WRONG_DATETIME_FORMAT', 'Incorrect date format')
      const todo = {
        SUBJECT: title,
        DESCRIPTION: description,
        DEADLINE: deadline,
        RESPONSIBLE_ID: responsibleId,
      }
      const owner = { OWNER_TYPE_ID: text(ownerTypeId), OWNER_ID: text(ownerId), COMPLETED: 'N' }
      const on = placeOf(ownerTypeId, ownerId)
      return { result: { id: Number(standing('todo', { ...todo, ...owner }, on).id) } }
    },
    'crm.activity.todo.updateDescription': ({ id, ownerTypeId, ownerId, value }) => {
      const todo = get('todo', id)
      // "CRM entity to which the activity is linked".
      if (!todo?.on.includes(placeOf(ownerTypeId, ownerId))) return refused('NOT_FOUND', 'Not found.')
      if (todo.fields.COMPLETED === 'Y')
        // Its code, as it spells it.
        return refused('CAN_NOT_UPDATE_COMPLETED_TODO', 'Completed activity cannot be modified')
      todo.fields.DESCRIPTION = value
      return { result: { id: Number(todo.id) } }
    },
    'crm.activity.list': (params) => {
      const { OWNER_TYPE_ID, OWNER_ID } = asObject(params.filter) ?? {}
      return newest(
        of('todo').filter(
          ({ fields }) => fields.OWNER_TYPE_ID === text(OWNER_TYPE_ID) && fields.OWNER_ID === text(OWNER_ID),
        ),
      )
    },
    'telephony.externalCall.register': register,
    'telephony.externalCall.finish': finish,
    'telephony.externalCall.attachRecord': ({ CALL_ID, RECORD_URL }) => {
      const call = get('call', CALL_ID)
      if (!call)
        return refused('', 'Call is not found in the statistic table. It looks like it is not finished yet.')
      if (!/\.(?:mp3|wav)$/i.test(new URL(text(RECORD_URL)).pathname))
        return refused('ERROR_CORE', 'Wrong file extension. Only wav and mp3 are allowed')
      const before = text(call.fields.RECORD_FILE_ID)
      if (before !== '') records.delete(`record/${before}`)
      call.fields.RECORD_FILE_ID = store('record', { RECORD_URL, CALL_ID }).id
      return { result: { FILE_ID: Number(call.fields.RECORD_FILE_ID) } }
    },
    'telephony.call.attachTranscription': ({ CALL_ID, MESSAGES }) => {
      const call = get('call', CALL_ID)
      if (!call) return refused('ERROR_CORE', `Call ${text(CALL_ID)} is not found. Is it finished?`)
      if (!MESSAGE.array().safeParse(MESSAGES).success)
        return refused('ERROR_CORE', 'MESSAGES should be an array')
      if (call.fields.TRANSCRIPT_ID) return refused('ERROR_CORE', 'There is one already (of the stand-in)')
      call.fields.TRANSCRIPT_ID = store('transcript', { CALL_ID, MESSAGES }).id
      return { result: { TRANSCRIPT_ID: Number(call.fields.TRANSCRIPT_ID) } }
    },
    'voximplant.statistic.get': statistic,
  }
  for (const kind of ['contact', 'company', 'lead', 'deal']) {
    methods[`crm.${kind}.list`] = (params) => list(kind, asObject(params.filter) ?? {})
    methods[`crm.${kind}.add`] = ({ fields }) => ({ result: Number(store(kind, withDates(fields)).id) })
    methods[`crm.${kind}.update`] = ({ id, fields }) => {
      const record = get(kind, id)
      if (!record) return refused('', 'Not found')
      Object.assign(record.fields, asObject(fields))
      return { result: true }
    }
    methods[`crm.${kind}.fields`] = () => ({
      result: {
        ID: { type: 'integer', isReadOnly: true, title: 'ID' },
        UF_CRM_SCORE: {
          type: 'double',
          isReadOnly: false,
          isMultiple: false,
          title: 'UF_CRM_SCORE',
          formLabel: 'Score',
        },
        UF_CRM_MOOD: { type: 'enumeration', isReadOnly: false, isMultiple: false, title: 'UF_CRM_MOOD' },
        ...Object.fromEntries(of(`field of ${kind}`).map(({ id, fields }) => [id, fields])),
      },
    })
    methods[`crm.${kind}.userfield.add`] = ({ fields }) => {
      const { FIELD_NAME, LABEL, USER_TYPE_ID } = asObject(fields) ?? {}
      if (!/^UF_CRM_\w{1,13}$/.test(text(FIELD_NAME)))
        return refused('ERROR_CORE', 'The field code is too long')
      store(
        `field of ${kind}`,
        { type: USER_TYPE_ID, isReadOnly: false, isMultiple: false, formLabel: LABEL },
        text(FIELD_NAME),
      )
      return { result: Number(nextId()) }
    }
  }

  const withDates = (fields: unknown): Fields => {
    const at = zoned(now())
    return { ASSIGNED_BY_ID: '1', ...asObject(fields), DATE_CREATE: at, LAST_ACTIVITY_TIME: at }
  }

  function list(kind: string, filter: Fields): Said {
    const ids = Array.isArray(filter['@ID']) ? filter['@ID'].map(text) : null
    const found = of(kind).filter(({ id, fields }) => {
      if (ids) return ids.includes(id)
      return Object.entries(filter).every(([name, value]) => text(fields[name]) === text(value))
    })
    return { result: found.slice(0, PAGE).map(({ id, fields }) => ({ ...fields, ID: id })) }
  }

  const newest = (found: Stored[]): Said => ({
    result: found
      .toSorted((a, b) => Number(b.id) - Number(a.id))
      .slice(0, PAGE)
      .map(({ id, fields }) => ({ ...fields, ID: id })),
  })

  function register(params: Fields): Said {
    const { USER_ID, USER_PHONE_INNER, PHONE_NUMBER, TYPE, CALL_START_DATE, CRM_ENTITY_TYPE: type } = params
    if (USER_ID === undefined && USER_PHONE_INNER === undefined)
      return refused('ERROR_CORE', 'USER_ID or USER_PHONE_INNER should be set')
    if (!/^[1-5]$/.test(text(TYPE))) return refused('ERROR_CORE', 'Unknown TYPE')
    if (!/^\+?\d{5,20}$/.test(text(PHONE_NUMBER)))
      return refused('ERROR_CORE', 'Unsupported phone number format')
    if (CALL_START_DATE !== undefined && !isZoned(CALL_START_DATE))
      return refused('ERROR_CORE', 'CALL_START_DATE should be in the ISO-8601 format')
    if (USER_ID !== undefined && !users.some(({ ID }) => ID === text(USER_ID)))
      return refused('ERROR_CORE', 'User is not found or is not active')
    if (type !== undefined && !['CONTACT', 'COMPANY', 'LEAD'].includes(text(type)))
      return refused('ERROR_CORE', 'Unknown CRM_ENTITY_TYPE')
    const key = JSON.stringify([
      PHONE_NUMBER,
      TYPE,
      USER_ID,
      USER_PHONE_INNER,
      params.LINE_NUMBER,
      params.EXTERNAL_CALL_ID,
    ])
    const known = registrations.find((one) => one.key === key && now() - one.at < DEDUPE_MS)
    const id = known?.id ?? `externalCall.${hex()}.${Math.floor(now() / 1000)}`
    if (!known) registrations.push({ id, key, at: now(), params })
    const { CRM_ENTITY_TYPE = '', CRM_ENTITY_ID = 0 } = params
    return {
      result: {
        CALL_ID: id,
        CRM_CREATED_LEAD: null,
        CRM_CREATED_ENTITIES: [],
        CRM_ENTITY_TYPE,
        CRM_ENTITY_ID,
      },
    }
  }

  function finish({ CALL_ID, USER_ID, DURATION, STATUS_CODE, FAILED_REASON }: Fields): Said {
    const registration = registrations.find(({ id }) => id === CALL_ID)
    if (!registration || get('call', CALL_ID))
      return refused('ERROR_CORE', 'Call is not found (call should be registered prior to finishing)')
    const { params } = registration
    const seconds = Number(DURATION ?? 0)
    const { id, on } = store(
      'call',
      {
        PORTAL_USER_ID: text(USER_ID) || '1',
        PORTAL_NUMBER: text(params.LINE_NUMBER) || 'REST_APP:3',
        PHONE_NUMBER: params.PHONE_NUMBER,
        EXTERNAL_CALL_ID: params.EXTERNAL_CALL_ID ?? null,
        CALL_DURATION: String(seconds),
        CALL_START_DATE: params.CALL_START_DATE ?? zoned(now()),
        CALL_RECORD_URL: null,
        CALL_FAILED_CODE: STATUS_CODE ?? (seconds > 0 ? '200' : '304'),
        CALL_FAILED_REASON: FAILED_REASON ?? '',
        CRM_ENTITY_TYPE: params.CRM_ENTITY_TYPE ?? '',
        CRM_ENTITY_ID: params.CRM_ENTITY_ID ?? '0',
        CRM_ACTIVITY_ID: nextId(),
        TRANSCRIPT_ID: null,
        RECORD_FILE_ID: null,
        CALL_TYPE: text(params.TYPE),
        SHOW: params.SHOW,
        CRM_CREATE: params.CRM_CREATE,
        ADD_TO_CHAT: params.ADD_TO_CHAT,
      },
      text(CALL_ID),
    )
    const type = text(params.CRM_ENTITY_TYPE).toLowerCase()
    if (type !== '') on.push(`${type}/${text(params.CRM_ENTITY_ID)}`)
    return { result: { CALL_ID: id, CALL_START_DATE: {}, ID: Number(nextId()) } }
  }

  function statistic({ FILTER, start }: Fields): Said {
    const filter = asObject(FILTER) ?? {}
    const found = of('call').filter(({ id, fields }) =>
      Object.entries(filter).every(([name, value]) => {
        if (name === 'CALL_ID') return (Array.isArray(value) ? value : [value]).includes(id)
        const at = Date.parse(text(fields.CALL_START_DATE))
        if (name === '>=CALL_START_DATE') return at >= Date.parse(text(value))
        if (name === '<CALL_START_DATE') return at < Date.parse(text(value))
        return text(fields[name]) === text(value)
      }),
    )
    const from = Number(start ?? 0)
    const result = found.slice(from, from + PAGE).map(({ id, fields }) => ({ ...fields, CALL_ID: id }))
    return found.length > from + PAGE ? { result, next: from + PAGE } : { result }
  }

  // ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  const app = new Hono()
  app.onError((error) => Promise.reject(error))
  app.use(faults.middleware)
  app.get('/oauth/token/', (c) => {
    const { grant_type, client_id, client_secret, refresh_token } = c.req.query()
    if (client_id !== account.clientId || client_secret !== account.clientSecret)
      return c.json({ error: 'invalid_client', error_description: 'Invalid client' }, 400)
    if (grant_type !== 'refresh_token' || refresh_token !== refreshToken)
      return c.json({ error: 'invalid_grant', error_description: 'Invalid token' }, 400)
    const token = hex()
    tokens.set(token, now() + TOKEN_MS)
    refreshToken = hex()
    return c.json({
      access_token: token,
      refresh_token: refreshToken,
      expires_in: 3600,
      scope: 'app',
      status: 'L',
    })
  })
  app.get('/recordings/:id', (c) => {
    const bytes = audio.get(c.req.param('id'))
    return bytes
      ? c.body(bytes as Uint8Array<ArrayBuffer>, 200, { 'content-type': 'audio/mpeg' })
      : c.notFound()
  })
  app.post('/rest/:method', (c) => {
    const [, token = ''] = /^Bearer (\w+)$/.exec(c.req.header('authorization') ?? '') ?? []
    const until = tokens.get(token)
    if (until === undefined) return answer(c, unknown('NO_AUTH_FOUND', 'Wrong authorization data'))
    if (until <= now()) return answer(c, unknown('expired_token', 'The access token provided has expired'))
    return call(c, true)
  })
  app.post('/rest/:user/:code/:method', (c) => {
    const { user, code } = c.req.param()
    const isKnown = account.webhook?.replace(/\/$/, '').endsWith(`${user}/${code}`)
    return isKnown ? call(c, false) : answer(c, unknown('INVALID_CREDENTIALS', 'Invalid request credentials'))
  })

  async function call(c: Context, isApplication: boolean): Promise<Response> {
    const level = Math.max(0, bucket.level - ((now() - bucket.at) / 1000) * account.requestsPerSecond)
    bucket = { level: level + 1, at: now() }
    if (bucket.level > BUCKET)
      return c.json({ error: 'QUERY_LIMIT_EXCEEDED', error_description: 'Too many requests' }, 503)
    const name = c.req.param('method')?.replace(/\.json$/, '') ?? ''
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    if (!method) return answer(c, { status: 404, error: 'ERROR_METHOD_NOT_FOUND', says: 'Method not found!' })
    if (!isApplication && APPLICATION_ONLY.includes(name)) {
      const says = 'Current authorization type is denied for this method'
      return answer(c, { status: 403, error: 'WRONG_AUTH_TYPE', says })
    }
    return answer(c, method(asObject(await c.req.json().catch(() => null)) ?? {}))
  }

  return {
    app,
    fail: faults.fail,
    book: () => [
      ...[...records.values()].map(
        ({ kind, id, fields, on }): SandboxRecord => ({
          kind,
          id: on[0] === undefined ? id : `${on[0]}/${id}`,
          key: keyOf(fields),
          fields: { ...fields, on: [...on] },
        }),
      ),
      ...handlers.map(({ event, handler }) => ({
        kind: 'handler',
        id: event,
        key: null,
        fields: { handler },
      })),
    ],
    addContact: ({ name, phone }) =>
      store('contact', withDates({ NAME: name, PHONE: [{ VALUE: phone, VALUE_TYPE: 'WORK' }] }), nextId(), 0)
        .id,
    place,
  }

  /** One event, at the end; the recording stands in the statistics. */
  function place(sample: SampleCall): SandboxWebhook[] {
    const id = `${hex().toUpperCase().slice(0, 16)}.${Math.floor(sample.startedAt / 1000)}.${nextId()}`
    if (sample.audio) audio.set(id, sample.audio.bytes)
    const told = {
      CALL_TYPE: sample.direction === 'outbound' ? '1' : '2',
      PHONE_NUMBER: sample.customerPhone,
      PORTAL_NUMBER: sample.ownPhone,
      PORTAL_USER_ID: '12',
      CALL_DURATION: String(Math.round(sample.talkMs / 1000)),
      CALL_START_DATE: zoned(sample.startedAt),
      COST: '0',
      COST_CURRENCY: '',
      CALL_FAILED_CODE: CODES[sample.result],
      CALL_FAILED_REASON: '',
      CRM_ACTIVITY_ID: nextId(),
    }
    const url = sample.audio ? `${baseUrl}/recordings/${id}` : ''
    const rest = { EXTERNAL_CALL_ID: null, CALL_RECORD_URL: url, TRANSCRIPT_ID: null, RECORD_FILE_ID: null }
    store('call', { ...told, ...rest, CRM_ENTITY_TYPE: '', CRM_ENTITY_ID: '0' }, id)
    const form = new URLSearchParams({ event: 'ONVOXIMPLANTCALLEND', event_handler_id: '1061' })
    form.set('data[CALL_ID]', id)
    for (const [name, value] of Object.entries(told)) form.set(`data[${name}]`, value)
    form.set('ts', String(Math.floor(now() / 1000)))
    form.set('auth[domain]', new URL(baseUrl).hostname)
    form.set('auth[member_id]', 'a223c6b3710f85df22e9377d6c4f7553')
    form.set('auth[application_token]', account.applicationToken?.[0] ?? '')
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return [{ says: 'ONVOXIMPLANTCALLEND', method: 'POST', path: '', headers, body: form.toString() }]
  }
}
