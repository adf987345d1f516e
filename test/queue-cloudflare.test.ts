import { describe, expect, it as test } from 'vitest'
import { createCloudflareQueue, retryAfterS } from '../src/queue/cloudflare.ts'
import type { BellMessage, QueueMessage } from '../src/queue/cloudflare-message.ts'
import type { Bell } from '../src/queue/port.ts'
import { cloud, ENDED, type Share } from './queue-cloudflare-cloud.ts'
import { GENERIC, sandboxVendors } from './scenarios/company.ts'
import { genericWebhook } from './scenarios/generic.ts'
import { install } from './scenarios/installation.ts'

const log = (lines: string[]) => {
  const line = (message: string, fields?: object) =>
    void lines.push(`${message} ${JSON.stringify(fields ?? {})}`)
  return { warn: line, error: line }
}

function alone(now = () => 1_000_000, lines: string[] = []) {
  const its = cloud(now)
  const { queues, waitUntil } = its
  const queue = createCloudflareQueue({
    queues,
    streams: (lane) => lane === 'xosum',
    waitUntil,
    now,
    log: log(lines),
  })
  return { ...its, queue, lines }
}

describe('bells as messages', () => {
  const bell = (step: string, change: Partial<Bell> = {}): Bell => ({
    step,
    lane: 'hubspot',
    dueAt: 1_000_000,
    kind: 'write',
    ...change,
  })

  test('carry ids and nothing else, and duplicates are folded', async () => {
    const { queue, sent, settled } = alone()
    queue.wake([bell('stp_1'), bell('stp_1'), bell('stp_2'), { ...bell('stp_1'), dueAt: 500_000 }])
    await settled()
    expect(sent.others).toEqual([
      [
        { v: 1, step: 'stp_1', lane: 'hubspot', share: 'others' },
        { v: 1, step: 'stp_2', lane: 'hubspot', share: 'others' },
      ],
    ])
  })

  test('are sent a hundred at a time', async () => {
    const { queue, sent, settled } = alone()
    queue.wake(Array.from({ length: 250 }, (_, n) => bell(`stp_${n}`, { lane: 'a'.repeat(63) })))
    await settled()
    expect(sent.others.map(({ length }) => length)).toEqual([100, 100, 50])
  })

  test('of submissions go through their own queue; where the kind is not known, through both', async () => {
    const { queue, sent, settled } = alone()
    queue.wake([
      bell('stp_1', { lane: 'xosum', kind: 'submit' }),
      bell('stp_2', { lane: 'xosum', kind: 'poll' }),
      { step: '', lane: 'xosum', dueAt: 0 },
      { step: '', lane: 'core', dueAt: 0 },
    ])
    await settled()
    const steps = (share: Share) => sent[share].flat().map(({ step, lane }) => `${lane} ${step}`)
    expect(steps('recordings')).toEqual(['xosum stp_1', 'xosum '])
    expect(steps('others')).toEqual(['xosum stp_2', 'xosum ', 'core '])
  })

  test('for later are delayed to the second after, and left to the sweep beyond what can be delayed', async () => {
    const { queue, waiting, settled } = alone()
    queue.wake([
      bell('stp_1', { dueAt: 1_001_001 }),
      bell('stp_2', { dueAt: 1_000_000 + 43_200_000 }),
      bell('stp_3', { dueAt: 1_000_001 + 43_200_000 }),
      // Of a breaker that is open: the sweep comes by before anybody could count them.
      { step: '', lane: 'hubspot', dueAt: 1_015_000 },
    ])
    await settled()
    expect(waiting.others.map(({ body, at }) => [(body as BellMessage).step, at])).toEqual([
      ['stp_1', 1_002_000],
      ['stp_2', 44_200_000],
    ])
  })

  test('that cannot be sent are told of, and nobody fails for it', async () => {
    const { queue, refuse, settled, lines } = alone()
    refuse(new Error('Queue is overloaded'))
    queue.wake([bell('stp_1')])
    await settled()
    expect(lines).toEqual([
      'bells could not be sent; the sweep rings again {"bells":1,"says":"Queue is overloaded"}',
    ])
  })

  test('of the pipeline say of which kind their step is', async () => {
    await using it = await install({ vendors: { ...GENERIC, ...sandboxVendors('hubspot') } })
    const rung: Bell[] = []
    it.deps.queue = { ...it.deps.queue, wake: (bells) => void rung.push(...bells) }
    await it.send('pbx', genericWebhook([ENDED]))
    await it.settle()
    const kinds = new Set(rung.filter(({ step }) => step !== '').map(({ kind }) => kind ?? 'merge'))
    expect([...kinds].sort()).toEqual(['match', 'merge', 'write'])
  })
})

describe('the consumer', () => {
  const message = (body: unknown, attempts = 1) => {
    const verdict: (string | number | undefined)[] = []
    const made: QueueMessage = {
      id: 'm',
      body,
      attempts,
      ack: () => void verdict.push('ack'),
      retry: (how) => void verdict.push('retry', how?.delaySeconds),
    }
    return { made, verdict }
  }
  const good = { v: 1, step: 'stp_1', lane: 'hubspot', share: 'others' }

  test.each([
    ['nothing', undefined],
    ['a text', 'stp_1'],
    ['a list', [good]],
    ['an older version', { ...good, v: 0 }],
    ['an endless lane', { ...good, lane: 'a'.repeat(100_000) }],
    ['a lane that is none', { ...good, lane: '../core' }],
    ['a step that is none', { ...good, step: 'stp_1; drop table steps' }],
    ['another share', { ...good, share: '__proto__' }],
  ])('answers a message that is none of ours and says so: %s', async (_, body) => {
    const { queue, lines } = alone()
    let takes = 0
    queue.work(
      async () => {
        takes += 1
        return []
      },
      () => 8,
    )
    const { made, verdict } = message(body)
    await queue.consume([made])
    expect([verdict, takes]).toEqual([['ack'], 0])
    expect(lines).toEqual(['a message is none of ours, or of another version {"message":"m"}'])
  })

  test('runs the steps of a batch side by side, and no more than it may', async () => {
    const { queue } = alone()
    let running = 0
    let most = 0
    queue.work(
      async (_lane, room) =>
        Array.from({ length: room }, async () => {
          running += 1
          most = Math.max(most, running)
          await new Promise((resolve) => setImmediate(resolve))
          running -= 1
        }),
      () => 8,
    )
    await queue.consume(Array.from({ length: 20 }, () => message(good).made))
    expect(most).toBe(4)
    most = 0
    await queue.consume([message({ ...good, step: '' }).made])
    expect(most).toBe(4)
    most = 0
    await queue.consume([message({ ...good, step: '' }).made, message({ ...good, step: '' }).made])
    expect(most).toBe(4)
  })

  test('rings again for a lane that may have more, and not for one that has not', async () => {
    const { queue, waiting, settled } = alone()
    let left = 5
    queue.work(
      async (_lane, room) => {
        const count = Math.min(room, left)
        left -= count
        return Array.from({ length: count }, async () => undefined)
      },
      () => 3,
    )
    const whatever = { ...good, lane: 'xosum', step: '', share: 'recordings' }
    await queue.consume([message(whatever).made])
    await settled()
    expect(waiting.recordings.map(({ body }) => body)).toEqual([whatever])
    await queue.consume([message(whatever).made])
    await settled()
    expect(waiting.recordings).toHaveLength(1)
    expect(waiting.others).toEqual([])
  })

  test('gives a message back while the store is away, later each time, and answers its neighbours', async () => {
    const { queue, lines } = alone()
    queue.work(
      async (lane) => {
        if (lane === 'hubspot') throw new Error('the store is away')
        return []
      },
      () => 8,
    )
    const [away, fine] = [message(good), message({ ...good, lane: 'core' })]
    await queue.consume([away.made, fine.made])
    expect([away.verdict, fine.verdict]).toEqual([['retry', 2], ['ack']])
    expect(lines).toEqual(['taking steps failed {"lane":"hubspot","says":"the store is away"}'])
    expect([1, 2, 3, 8, 9, 99].map(retryAfterS)).toEqual([2, 4, 8, 256, 300, 300])
  })
})
