import { describe, expect, test } from 'vitest'
import { refusal } from '../../connectors/salesforce/client/refusal.ts'
import { CUSTOMER } from '../kit/connector/samples.ts'
import { failureOf } from '../kit/connector/world.ts'
import {
  books,
  callOf,
  crm,
  ctxOf,
  fresh,
  open,
  ready,
  recordOf,
  refusing,
  spied,
  task,
} from './salesforce-world.ts'

describe('what Salesforce refuses', () => {
  const refusals: [number, string, string, string, unknown][] = [
    [403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.', 'quota', 'never'],
    [
      403,
      'REQUEST_LIMIT_EXCEEDED',
      'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
      'rate_limited',
      { afterMs: expect.any(Number) },
    ],
    [
      400,
      'UNABLE_TO_LOCK_ROW',
      'unable to obtain exclusive access',
      'vendor_down',
      { afterMs: expect.any(Number) },
    ],
    [
      409,
      'UNABLE_TO_LOCK_ROW',
      'unable to obtain exclusive access',
      'vendor_down',
      { afterMs: expect.any(Number) },
    ],
    [503, 'SERVER_UNAVAILABLE', 'x', 'vendor_down', 'later'],
    [500, 'UNKNOWN_EXCEPTION', 'x', 'vendor_down', 'later'],
    [400, 'QUERY_TIMEOUT', 'x', 'timeout', 'later'],
    [400, 'REQUEST_RUNNING_TOO_LONG', 'x', 'timeout', 'later'],
    [400, 'FIELD_CUSTOM_VALIDATION_EXCEPTION', 'Enter a reason', 'rejected', 'never'],
    [400, 'REQUIRED_FIELD_MISSING', 'x', 'rejected', 'never'],
    [400, 'STRING_TOO_LONG', 'x', 'rejected', 'never'],
    [400, 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', 'x', 'rejected', 'never'],
    [400, 'INVALID_FIELD', 'x', 'rejected', 'never'],
    [400, 'INVALID_CROSS_REFERENCE_KEY', 'x', 'rejected', 'never'],
    [400, 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', 'x', 'rejected', 'never'],
    [404, 'ENTITY_IS_DELETED', 'x', 'gone', 'never'],
    [404, 'NOT_FOUND', 'x', 'not_found', 'never'],
    [400, 'INSUFFICIENT_ACCESS_OR_READONLY', 'x', 'forbidden', 'never'],
    [403, 'API_DISABLED_FOR_ORG', 'x', 'forbidden', 'never'],
    [403, 'API_CURRENTLY_DISABLED', 'x', 'forbidden', 'never'],
    [300, 'whatever', 'x', 'rejected', 'never'],
    [420, 'whatever', 'x', 'vendor_down', 'later'],
    [400, 'SOMETHING_NEW', 'x', 'rejected', 'never'],
  ]
  test.each(refusals)('%s %s %s: %s', async (status, errorCode, message, code, retry) => {
    const { world, writeCall } = await ready()
    world.sandbox.fail({ fault: refusing(status, errorCode, message), method: 'PATCH' })
    const failure = await failureOf(writeCall())
    expect(failure).toMatchObject({ code, retry })
    if (status !== 300) expect(failure?.vendorSaid).toBe(`${errorCode}: ${message}`)
    if (status === 400 && retry === 'later') return
    expect(books(world, 'call')).toEqual([])
  })

  test('waits are spread, so that not all come back at once', async () => {
    const waits = async (errorCode: string, message: string) => {
      const { world, writeCall } = await ready()
      world.sandbox.fail({ fault: refusing(400, errorCode, message), method: 'PATCH', times: 2 })
      const retries = [(await failureOf(writeCall()))?.retry, (await failureOf(writeCall()))?.retry]
      return retries.map((retry) => (typeof retry === 'object' ? retry.afterMs : 0))
    }
    for (const wait of await waits('UNABLE_TO_LOCK_ROW', 'x')) expect(wait).toBeGreaterThanOrEqual(500)
    for (const wait of await waits('REQUEST_LIMIT_EXCEEDED', 'ConcurrentPerOrgLongTxn'))
      expect(wait).toBeGreaterThanOrEqual(20_000)
  })

  test('two writes below one account at a moment: the later one comes again', async () => {
    const { world, writeCall } = await ready({ locks: true })
    await writeCall()
    const { record, part } = { record: recordOf({}), part: callOf(recordOf({})) }
    const target = { type: 'contact', id: books(world, 'contact')[0]?.id ?? '' }
    const write = (key: string) =>
      crm.write({ ...fresh(part), idempotencyKey: key }, { ...record, target }, {}, ctxOf(world))
    const ends = await Promise.all(['a-call', 'b-call'].map((key) => failureOf(write(key))))
    expect(ends.map((end) => end?.code).sort()).toEqual(['vendor_down', undefined])
  })

  test('the day’s limit is quota, until a day has passed', async () => {
    const { world, writeCall } = await ready({ dailyLimit: 4 })
    const { id } = await writeCall()
    expect(await failureOf(writeCall({}, id))).toMatchObject({ code: 'quota' })
    await world.advance(86_400_001)
    await writeCall({}, id)
    expect(task(world).length).toBe(1)
  })

  test('an org that changed is described anew at the next try', async () => {
    const { world, writeCall } = await ready()
    await writeCall()
    world.sandbox.fail({
      fault: refusing(400, 'INVALID_FIELD', "No such column 'CallType'"),
      method: 'PATCH',
    })
    expect(await failureOf(writeCall())).toMatchObject({ code: 'rejected' })
    const { ctx, asked } = spied(world)
    await crm.write(fresh(callOf(recordOf({}))), recordOf({}), {}, ctx)
    expect(asked.some(({ path }) => path === '/sobjects/Task/describe')).toBe(true)
  })

  test('an answer that is no JSON, or of another form, is a vendor that is not well', async () => {
    for (const body of ['<html>', '{"fields":"none"}']) {
      const world = await open(
        {},
        {
          through: (direct) => async (url, request) =>
            url.pathname.endsWith('/describe') ? new Response(body) : direct(url, request),
        },
      )
      expect(
        await failureOf(crm.write(fresh(callOf(recordOf({}))), recordOf({}), {}, ctxOf(world))),
      ).toMatchObject({
        code: 'vendor_down',
      })
    }
  })

  test('a text that is too long is not quoted whole', async () => {
    const { world, writeCall } = await ready()
    const message = 'Comments: data value too large: My card is lost\nand so am I (max length=32000)'
    world.sandbox.fail({ fault: refusing(400, 'STRING_TOO_LONG', message), method: 'PATCH' })
    expect((await failureOf(writeCall()))?.vendorSaid).toBe(
      'STRING_TOO_LONG: Comments: data value too large (max length=32000)',
    )
  })

  test('neither secrets nor numbers nor names stand in an error', async () => {
    const { world, writeCall } = await ready()
    const body = [
      { errorCode: 'INVALID_FIELD', message: `${CUSTOMER} of jean.dupont@example.com is no good` },
    ]
    world.sandbox.fail({ fault: { kind: 'status', status: 400, body }, method: 'PATCH' })
    const failure = await failureOf(writeCall())
    const said = JSON.stringify([failure?.message, failure?.why, failure?.fix, failure?.vendorSaid])
    expect(said).not.toMatch(/639980142|jean\.dupont|00Dd0000000stnd!|stand-in-consumer-secret/)
  })
})

test('a refusal that repeats a long value is read at once, and without the value', {
  timeout: 5000,
}, async () => {
  const message = `Description: data value too large: ${'0'.repeat(60_000)} (max length=255)`
  const said = new Response(JSON.stringify([{ errorCode: 'STRING_TOO_LONG', message }]), { status: 400 })
  const read = await refusal(said, 'Salesforce: write', { now: () => 0, random: () => 0 })
  expect(read.vendorSaid).toBe('STRING_TOO_LONG: Description: data value too large (max length=255)')
})
