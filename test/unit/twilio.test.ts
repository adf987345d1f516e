import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { config } from '../../connectors/twilio/schema.ts'
import { progressOf } from '../../src/call/merge.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { testSigner } from '../kit/signer.ts'
import { account, fold, NOW, played, read, SETTINGS, sample, TOKEN, webhook } from './twilio-account.ts'

describe('the signature', () => {
  it('of every fixture is the documented one, computed without the connector', () => {
    const folder = new URL('../../connectors/twilio/fixtures/', import.meta.url)
    let checked = 0
    for (const file of readdirSync(folder).filter((name) => /^(vector|inbound)-/.test(name))) {
      const { config: keys, hookUrl, request } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'))
      let text = `${hookUrl}${request.path}${request.query ? `?${request.query}` : ''}`
      if (request.headers['content-type'].includes('form')) {
        const form = new URLSearchParams(request.body)
        for (const name of [...new Set(form.keys())].sort()) {
          for (const value of [...new Set(form.getAll(name))].sort()) text += name + value
        }
      }
      const expected = createHmac('sha1', keys?.authToken ?? TOKEN)
        .update(text)
        .digest('base64')
      expect(request.headers['x-twilio-signature'], file).toBe(expected)
      checked++
    }
    expect(checked).toBe(11)
  })

  const called = "https://hooks.example.com/hooks/pbx?b=it's&a=1+2&b=x"
  it.each([
    ['as called', called],
    ['with the port', called.replace('.com', '.com:443')],
    ['normalised', called.replace("'", '%27')],
    ['normalised, with the port', called.replace("'", '%27').replace('.com', '.com:443')],
    ['as querystring writes it', "https://hooks.example.com/hooks/pbx?b=it's&b=x&a=1%202"],
    ['as querystring writes it, with the port', "https://hooks.example.com:443/hooks/pbx?b=it's&b=x&a=1%202"],
  ])('fits a URL %s', async (_, signed) => {
    expect(await verified(called, signed)).toMatchObject({ ok: true })
  })
  it('fits a URL without the port that it was called with', async () => {
    const url = 'https://hooks.example.com:8443/hooks/pbx'
    expect(await verified(url, 'https://hooks.example.com/hooks/pbx')).toMatchObject({ ok: true })
  })
  it.each([
    ['another path', 'https://hooks.example.com/hooks/pbx2'],
    ['another host', 'https://hooks.example.org/hooks/pbx'],
    ['another scheme', 'http://hooks.example.com/hooks/pbx'],
    ['another port', 'https://hooks.example.com:8443/hooks/pbx'],
  ])('does not fit %s', async (_, signed) => {
    expect(await verified('https://hooks.example.com/hooks/pbx', signed)).toMatchObject({ ok: false })
  })
  it('covers a second bodySHA256 too', async () => {
    const right = testSigner.digest('sha256', '{}') as Uint8Array
    const hex = Buffer.from(right).toString('hex')
    const url = `https://hooks.example.com/hooks/pbx?bodySHA256=${hex}`
    expect(await verified(url, url, '{}', 'application/json')).toMatchObject({ ok: true })
    const both = `${url}&bodySHA256=${hex.replace(/^./, (first) => (first === '0' ? '1' : '0'))}`
    expect(await verified(both, both, '{}', 'application/json')).toMatchObject({ ok: false })
  })
  it('of a GET covers no body', async () => {
    const url = 'https://hooks.example.com/hooks/pbx'
    expect(await verified(url, url, '', '', 'GET')).toMatchObject({ ok: true })
    const form = 'application/x-www-form-urlencoded'
    expect(await verified(url, url, 'CallStatus=completed', form, 'GET')).toMatchObject({ ok: false })
  })

  async function verified(url: string, signed: string, body = '', type = '', method = 'POST') {
    const signature = createHmac('sha1', TOKEN).update(signed).digest('base64')
    const headers: [string, string][] = [['x-twilio-signature', signature]]
    if (type) headers.push(['content-type', type])
    const raw = { method, url, path: '', headers, body: new TextEncoder().encode(body), receivedAt: '' }
    const verification = webhook?.verify(config.parse(SETTINGS))
    if (!verification) throw new Error('no webhook')
    return verifyRequest(inboundRequest(raw), verification, { now: NOW, signer: testSigner })
  }
})

describe('a call', () => {
  it('inbound: the agent’s leg belongs to it, and its answer times the talk', () => {
    const { vendor } = account()
    const events = played(vendor, sample())
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      result: 'answered',
      startedAt: new Date(NOW - 600_000).toISOString(),
      talkMs: 60_000,
      totalMs: 68_000,
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      recordings: [{ state: 'ready', channels: 2 }],
    })
    expect(fold(events).legs).toHaveLength(2)
    expect(new Set(events.map((event) => event.callId)).size).toBe(1)
    expect(progressOf(events)).toEqual({ ended: true, recording: 'ready' })
  })
  it('inbound is not ended by the end of a leg', () => {
    const { vendor } = account()
    const legs = played(vendor, sample()).filter((event) => event.alsoKnownAs)
    expect(legs).toHaveLength(4)
    expect(progressOf(legs).ended).toBe(false)
  })
  it('missed waits for no recording', () => {
    const { vendor } = account()
    const { audio: _, ...missed } = sample({ result: 'no_answer', id: 'missed' })
    const events = played(vendor, missed)
    expect(fold(events)).toMatchObject({ direction: 'inbound', result: 'no_answer' })
    expect(progressOf(events)).toEqual({ ended: true, recording: 'none' })
  })
  it('outbound: the customer is who was called', () => {
    const { vendor } = account()
    const events = played(vendor, sample({ direction: 'outbound', id: 'out' }))
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      talkMs: 60_000,
    })
  })

  const root = { CallSid: 'CA1', CallStatus: 'completed', Direction: 'outbound-api', From: '+33199001234' }
  const child = { CallSid: 'CA2', ParentCallSid: 'CA1', CallStatus: 'completed', Direction: 'outbound-dial' }
  it('that calls the agent first has the customer on the child leg', () => {
    const events = [
      ...read({ ...root, To: 'sip:101@acme.sip.twilio.com' }),
      ...read({ ...child, From: '+33199001234', To: '+447700900123' }),
    ]
    expect(fold(events)).toMatchObject({
      direction: 'outbound',
      customer: { phone: '+447700900123' },
      agent: { extension: '101' },
    })
  })
  it('that is forwarded keeps its caller as the customer', () => {
    const events = [
      ...read({ ...root, Direction: 'inbound', From: '+33639980142', To: '+33199001234' }),
      ...read({ ...child, From: '+33199001234', To: '+447700900123' }),
    ]
    expect(fold(events)).toMatchObject({ direction: 'inbound', customer: { phone: '+33639980142' } })
  })
  it('from a softphone to a softphone is internal and has no customer', () => {
    const call = fold(read({ ...root, Direction: 'inbound', From: 'client:alice', To: 'client:bob' }))
    expect(call.direction).toBe('internal')
    expect(call.customer).toBeUndefined()
  })
  it.each([
    ['trunking-originating', 'inbound'],
    ['trunking-terminating', 'outbound'],
  ])('%s is %s', (said, direction) => {
    expect(read({ ...root, Direction: said, To: '+447700900123' })[0]?.facts.direction).toBe(direction)
  })
  it.each([
    ['that calls the agent first', { ...root, To: 'sip:101@acme.sip.twilio.com' }],
    ['of a softphone', { ...root, Direction: 'inbound', From: 'client:alice' }],
  ])('%s is answered when the customer answers, not when the agent’s own leg does', (_, own) => {
    const at = (minute: number) => ({ Timestamp: `Wed, 04 Mar 2026 11:${minute}:00 +0000` })
    const far = { ...child, From: '+33199001234', To: '+447700900123' }
    const legs = [
      ...read({ ...own, CallStatus: 'initiated', ...at(10) }),
      ...read({ ...own, CallStatus: 'in-progress', ...at(11) }),
      ...read({ ...own, ...at(20) }),
    ]
    const missed = [...legs, ...read({ ...far, CallStatus: 'no-answer', ...at(19) })]
    expect(fold(missed)).toMatchObject({ direction: 'outbound', result: 'no_answer' })
    expect(fold(missed).answeredAt).toBeUndefined()
    expect(progressOf(missed)).toEqual({ ended: true, recording: 'none' })
    const taken = [
      ...legs,
      ...read({ ...far, CallStatus: 'in-progress', ...at(12) }),
      ...read({ ...far, ...at(19) }),
    ]
    expect(fold(taken)).toMatchObject({ result: 'answered', answeredAt: '2026-03-04T11:12:00.000Z' })
    expect(fold(read({ ...own, CallStatus: 'no-answer', ...at(20) })).result).toBe('no_answer')
  })
  it('in a conference is held together by the call that the signed URL names', () => {
    const events = [
      ...read({ ...root, Direction: 'inbound', From: '+33639980142', To: '+33199001234' }),
      ...read({ ...root, CallSid: 'CA3', From: '+33199001234', To: 'client:alice' }, '?call=CA1'),
      ...read({ ConferenceSid: 'CF1', RecordingSid: 'RE1', RecordingStatus: 'completed' }, '?call=CA1'),
    ]
    expect(new Set(events.map((event) => event.callId))).toEqual(new Set(['CA1']))
    expect(events[1]?.alsoKnownAs).toEqual(['CA3'])
    expect(fold(events)).toMatchObject({
      direction: 'inbound',
      customer: { phone: '+33639980142' },
      agent: { id: 'alice' },
      recordings: [{ key: 'RE1' }],
    })
    expect(read({ ConferenceSid: 'CF1', RecordingSid: 'RE1', RecordingStatus: 'completed' })).toEqual([])
    expect(read({ ...root, To: '+447700900123' }, '?call=../x')[0]?.callId).toBe('CA1')
  })
  it('that left a message is a voicemail where the signed URL says so', () => {
    const events = read({ ...root, Direction: 'inbound', From: '+33639980142', To: '+33199001234' })
    const left = { CallSid: 'CA1', RecordingSid: 'RE1', RecordingSource: 'RecordVerb' }
    const message = read({ ...left, RecordingStatus: 'completed' }, '?result=voicemail')
    expect(fold([...events, ...message]).result).toBe('voicemail')
    const nothing = read({ ...left, RecordingStatus: 'absent' }, '?result=voicemail')
    expect(fold([...events, ...nothing]).result).toBe('answered')
    const other = read({ ...left, RecordingStatus: 'completed' }, '?result=busy')
    expect(fold([...events, ...other]).result).toBe('answered')
  })
  it('takes what the operator wrote on the signed URL', () => {
    const [event] = read({ ...root, To: '+447700900123' }, '?segment=sales&reference=A-1&queue=vip&x=y')
    expect(event?.facts).toMatchObject({ segment: 'sales', reference: 'A-1', agent: { group: 'vip' } })
  })
})
