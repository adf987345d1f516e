import { expect, it } from 'vitest'
import type { ConnectorContext, FetchInit } from '../../src/connector/contract.ts'
import { CordboardError } from '../../src/errors.ts'
import { patient } from '../../src/pipeline/patient.ts'

/** Answers in this order; what is waited for in between. */
function contextOf(...answers: (Response | CordboardError)[]) {
  const waited: number[] = []
  const context = {
    now: () => 0,
    signal: new AbortController().signal,
    fetch: async () => {
      const answer = answers.shift()
      if (answer instanceof Response) return answer
      throw answer
    },
  } as unknown as ConnectorContext
  const fetch = (init?: FetchInit) =>
    patient(context, async (ms) => {
      waited.push(ms)
    }).fetch('https://pbx.example.com/calls', init)
  return { waited, fetch, left: () => answers.length }
}
const tooMany = (after?: string) =>
  new Response('slow down', { status: 429, headers: after === undefined ? {} : { 'retry-after': after } })
const budget = (afterMs: number) => new CordboardError('rate_limited', 'used up', { retry: { afterMs } })

it('waits as long as the vendor and the budget say, and asks again', async () => {
  const { waited, fetch } = contextOf(tooMany('7'), budget(20_000), tooMany(), new Response('ok'))
  expect(await (await fetch()).text()).toBe('ok')
  expect(waited).toEqual([7_000, 20_000, 5_000])
})

it('hands a longer wait on', async () => {
  const long = contextOf(tooMany('60'), tooMany('60'))
  expect((await long.fetch()).status).toBe(429)
  expect(long.waited).toEqual([60_000])
  await expect(contextOf(budget(91_000)).fetch()).rejects.toMatchObject({ code: 'rate_limited' })
})

it('neither repeats what failed otherwise nor what can be sent only once', async () => {
  const down = contextOf(new CordboardError('vendor_down', 'gone'), new Response('ok'))
  await expect(down.fetch()).rejects.toMatchObject({ code: 'vendor_down' })
  const once = contextOf(tooMany('1'), new Response('ok'))
  expect((await once.fetch({ method: 'POST', body: new ReadableStream() })).status).toBe(429)
  expect([down.left(), once.left()]).toEqual([1, 1])
})
