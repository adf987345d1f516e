import { expect, test } from 'vitest'
import { CUT_MARK } from '../../src/connector/crm-text.ts'
import { GENERIC, sandboxVendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, type InstallOptions, install, sampleCall } from './installation.ts'

// A bad day with the CRM: a transcript that fits nowhere, an hour without it, a token that is refused and replaced, a result
// that comes when everything was written. What can be written is, once, and where it belongs.

const CRM = 'sandbox-hubspot'
const XOSUM = 'sandbox-xosum'
const HOUR = 3_600_000
const counts = (it: Installation) => ['contact', 'call', 'note'].map((kind) => it.crm(kind))
const analysed: InstallOptions = {
  flows: [{ name: 'f', from: ['sandbox-twilio'], analyze: [XOSUM], write: [CRM], unknownCaller: 'create' }],
}
const posted = (it: Installation, body: Record<string, unknown>) =>
  it.receive(
    new Request(`https://hooks.example.com/hooks/${XOSUM}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ secret: 'sandbox-xosum-webhook-secret', metadata: {}, ...body }),
    }),
  )
/** Whatever goes to the CRM goes by here first; null: it goes on. */
function between(it: Installation, answer: (authorization: string | null) => Response | null): void {
  const { http } = it.deps
  it.deps.http = async (url, request) =>
    (url.hostname.startsWith(`${CRM}.`) ? answer(new Headers(request.headers).get('authorization')) : null) ??
    http(url, request)
}

for (const file of [undefined, false] as const) {
  test(`a transcript of 200 KB (${file === undefined ? 'attached where it does not fit' : 'not attached'}): the note is cut and says so, everything else is written`, async () => {
    const note = { transcript: true, ...(file === undefined ? {} : { file }) }
    await using it = await install({ ...analysed, settings: { [CRM]: { note } } })
    await it.play('sandbox-twilio', await sampleCall(it.now()))
    await it.work()
    const { ref } = await it.store.db.selectFrom('submissions').select('ref').executeTakeFirstOrThrow()
    const line = (n: number) => `Խոսնակ ${(n % 2) + 1}: line ${n} & what <they> said 😀`
    const transcription = Array.from({ length: 4_600 }, (_, n) => line(n)).join('\n')
    expect(new TextEncoder().encode(transcription).length).toBeGreaterThan(200_000)
    await posted(it, {
      event_type: 'transcript_ready',
      docId: ref,
      transcription,
      title: 'A long talk',
      resolution: 'They talked it over',
    })
    await it.settle()
    expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
    const body = String(it.held(CRM, 'note')[0]?.fields.hs_note_body)
    expect(body.length).toBeGreaterThan(60_000)
    expect(body.length).toBeLessThanOrEqual(65_536)
    expect(body.split(CUT_MARK)).toHaveLength(2)
    expect(body).toContain('They talked it over')
    expect(body).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/)
    expect(body.slice(-200)).toMatch(/Cordboard ref wbk_\w+-note<\/p>$/)
    expect(String(it.held(CRM, 'call')[0]?.fields.hs_call_body)).toContain('They talked it over')
    const files = it.held(CRM, 'file').map(({ fields }) => JSON.stringify(fields))
    expect(files).toHaveLength(file === undefined ? 1 : 0)
  })
}

test('an hour without the CRM: calls come in and are analysed, and afterwards each is written once', async () => {
  await using it = await install({ ...analysed, settings: { [CRM]: { indexLagMs: 30_000 } } })
  let isAway = true
  between(it, () => (isAway ? new Response('away', { status: 503 }) : null))
  for (let n = 0; n < 6; n += 1) {
    await it.play('sandbox-twilio', await sampleCall(it.now(), { customerPhone: `+3363998000${n}` }))
    await it.pass(HOUR / 6)
  }
  expect(it.held(XOSUM, 'submission')).toHaveLength(6)
  expect(counts(it)).toEqual([0, 0, 0])
  // Whoever is away is not asked for every call.
  expect((await it.calls()).map(([state]) => state)).toEqual(Array(6).fill('working'))
  isAway = false
  await it.settle(6 * HOUR)
  expect([counts(it), await it.calls()]).toEqual([[6, 6, 6], Array(6).fill(['done', null])])
  const issues = await it.store.db.selectFrom('issues').select('state').execute()
  expect(issues.every(({ state }) => state === 'resolved')).toBe(true)
})

test('a token that is refused, and then replaced: all that waited for it goes on, once', async () => {
  const vendors = { ...GENERIC, ...sandboxVendors('hubspot') }
  const [old, fresh] = [String(vendors[CRM]?.settings.token), 'replaced-token-0002']
  await using it = await install({
    vendors,
    flows: [{ name: 'f', from: ['pbx'], analyze: [], write: [CRM], unknownCaller: 'create' }],
  })
  let valid = 'nobody-has-it'
  const { http } = it.deps
  it.deps.http = async (url, request) => {
    const headers = new Headers(request.headers)
    if (!url.hostname.startsWith(`${CRM}.`)) return http(url, request)
    if (headers.get('authorization') !== `Bearer ${valid}`)
      return Response.json({ category: 'EXPIRED_AUTHENTICATION' }, { status: 401 })
    headers.set('authorization', `Bearer ${old}`)
    return http(url, { ...request, headers: Object.fromEntries(headers) })
  }
  const ended = (n: number) => ({
    key: `c${n}:ended`,
    callId: `c${n}`,
    phase: 'ended',
    facts: {
      direction: 'inbound',
      from: `+3363998000${n}`,
      startedAt: new Date(it.now() - 120_000).toISOString(),
      endedAt: new Date(it.now() - 60_000).toISOString(),
      result: 'no_answer',
    },
  })
  for (let n = 0; n < 8; n += 1) await it.send('pbx', genericWebhook([ended(n)]))
  await it.pass(2 * HOUR)
  const states = async () => (await it.calls()).map(([state]) => state)
  expect([counts(it), (await states()).includes('done')]).toEqual([[0, 0, 0], false])
  expect(await states()).toContain('attention')
  const parked = await it.store.db
    .selectFrom('steps')
    .select(['state', 'code', 'attempts'])
    .where('state', '=', 'parked')
    .execute()
  expect(parked.length).toBeGreaterThan(0)
  expect(parked.every(({ code, attempts }) => code === 'auth' && attempts === 0)).toBe(true)

  valid = fresh
  const connection = (id: string, more: Record<string, unknown> = {}) => ({
    use: vendors[id]?.use,
    ...vendors[id]?.settings,
    baseUrl: `https://${id}.example.com`,
    reconcile: false,
    ...more,
  })
  await it.restart({ connections: { pbx: connection('pbx'), [CRM]: connection(CRM, { token: fresh }) } })
  await it.settle()
  expect([counts(it), new Set(await states())]).toEqual([[8, 8, 0], new Set(['done'])])
  const issues = await it.store.db.selectFrom('issues').select('state').execute()
  expect(issues.every(({ state }) => state === 'resolved')).toBe(true)
})

test('a result that comes after the call was written is put on the same record, in the operator’s field too', async () => {
  await using it = await install({
    settings: { [XOSUM]: { checklistId: 'check-1', expectAnalysis: false } },
    flows: [
      {
        name: 'f',
        from: ['sandbox-twilio'],
        analyze: [XOSUM],
        write: { [CRM]: { call_reference: 'checklist.q1' } },
        unknownCaller: 'create',
      },
    ],
  })
  const made = await it.vendor(CRM).app.request('/crm/properties/2026-03/calls', {
    method: 'POST',
    headers: { authorization: 'Bearer sandbox-hubspot-token', 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'call_reference',
      label: 'Reference',
      groupName: 'call',
      type: 'string',
      fieldType: 'text',
    }),
  })
  expect(made.status).toBe(201)
  // The checklist is filled in much later than the conversation is written down.
  const { append } = it.store
  it.store.append = (entry) => {
    const isAnalysis = new TextDecoder()
      .decode(entry.delivery.body ?? new Uint8Array())
      .includes('analysis_ready')
    return isAnalysis ? Promise.reject(new Error('not yet')) : append(entry)
  }
  await it.play('sandbox-twilio', await sampleCall(it.now()))
  await it.settle(HOUR)
  it.store.append = append
  const { ref } = await it.store.db.selectFrom('submissions').select('ref').executeTakeFirstOrThrow()
  const [before] = it.held(CRM, 'call')
  expect(counts(it)).toEqual([1, 1, 1])
  expect(before?.fields).not.toHaveProperty('call_reference')
  for (let times = 0; times < 2; times += 1) {
    await posted(it, {
      event_type: 'analysis_ready',
      docId: ref,
      analysisId: 'a1',
      checklistId: 'check-1',
      checklistName: 'Checklist',
      results: { q1: { answer: 'yes' } },
    })
    await it.settle()
  }
  expect([counts(it), await it.calls()]).toEqual([[1, 1, 1], [['done', null]]])
  const [after] = it.held(CRM, 'call')
  expect([after?.id, after?.fields.call_reference]).toEqual([before?.id, 'answer: yes'])
  expect(String(it.held(CRM, 'note')[0]?.fields.hs_note_body)).toContain('q1: answer: yes')
})
