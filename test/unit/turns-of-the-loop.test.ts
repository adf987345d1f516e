import { expect, test } from 'vitest'
import { fewATurn, PER_TURN } from '../../src/node/listen.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const request = new Request('http://127.0.0.1/')

test('of a crowd few requests are begun in one turn of the loop, in their order, and all in the end', async () => {
  const begun: number[] = []
  let next = 0
  const { fetch } = fewATurn(async () => {
    begun.push(next++)
    return new Response()
  })
  const answers = Array.from({ length: 3 * PER_TURN }, () => fetch(request))
  expect(begun).toHaveLength(PER_TURN)
  for (let turns = 2; turns <= 3; turns += 1) {
    await turn()
    expect(begun).toHaveLength(turns * PER_TURN)
  }
  expect((await Promise.all(answers)).every(({ ok }) => ok)).toBe(true)
  await turn()
  await fetch(request)
  expect(begun).toHaveLength(3 * PER_TURN + 1)
})

test('while callers are let in, one request is begun a turn, so that those at the door do not wait for the rest', async () => {
  let begun = 0
  const { fetch, letIn } = fewATurn(async () => {
    begun += 1
    return new Response()
  })
  letIn()
  await turn()
  const answers = Array.from({ length: 10 }, () => fetch(request))
  expect(begun).toBe(1)
  letIn()
  await turn()
  expect(begun).toBe(2)
  // Nobody came in the last turn.
  await turn()
  expect(begun).toBe(10)
  await Promise.all(answers)
})

test('what a request that had to wait throws is its own failure', async () => {
  const { fetch } = fewATurn(() => {
    if (calls++ >= PER_TURN) throw new TypeError('thrown at once')
    return new Response()
  })
  let calls = 0
  const answers = Array.from({ length: PER_TURN + 1 }, () => fetch(request))
  await expect(answers.at(-1)).rejects.toThrow('thrown at once')
})
