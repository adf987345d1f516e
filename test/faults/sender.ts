import type { SampleCall } from '../../src/connector/sandbox.ts'
import { type Company, callNo, post } from './company.ts'
import { pause } from './within.ts'

/** One webhook as the phone system sent it, and what it was told. */
export interface Sent {
  connection: string
  url: string
  body: string
  /** How often a 2xx came back. */
  acknowledged: number
  tries: number
}

export interface Sender {
  readonly log: readonly Sent[]
  readonly calls: readonly { connection: string; call: SampleCall }[]
  /** Places up to `most` calls, one every `everyMs`, and sends their webhooks until each was taken. */
  start(everyMs: number, most?: number): void
  /** Resolves when as many calls were placed as `start` was asked for. */
  placed(): Promise<void>
  /** No further calls; resolves when every webhook was taken. */
  finish(): Promise<void>
  /** Places one call and sends its webhooks, after `before`, until each was taken. */
  play(
    connection: string,
    change?: Partial<SampleCall>,
    before?: (call: SampleCall) => Promise<void>,
  ): Promise<SampleCall>
}

const RETRY_MS = 150
const PHONE_SYSTEMS = ['sandbox-twilio', 'sandbox-zadarma']
/** Of the webhooks that were taken, so many are sent once more, as vendors do whose timer was faster than the answer. */
const SENT_AGAIN = 0.1

/**
 * Some callers call again at once: their contact must not be made twice. Never in the same second: by their times and
 * numbers such calls could not be told from one that was written twice.
 */
const sameCaller = (last?: SampleCall): Partial<SampleCall> =>
  last
    ? { customerPhone: last.customerPhone, startedAt: last.startedAt - 2_000 }
    : { customerPhone: '+33639980001' }

/** Both phone systems, with a log of their own: what was answered with a 2xx must be stored, whatever else happens. */
export function createSender(company: Company, random: () => number): Sender {
  const log: Sent[] = []
  const calls: { connection: string; call: SampleCall }[] = []
  const sending = new Set<Promise<void>>()
  let playing = false
  let loop: Promise<void> = Promise.resolve()
  let placed = 0

  async function send(connection: string, webhook: Parameters<Company['sandbox']['sign']>[1]): Promise<void> {
    const signed = await company.sandbox.sign(connection, webhook)
    const entry = { connection, url: signed.url, body: signed.body, acknowledged: 0, tries: 0 }
    log.push(entry)
    for (let times = random() < SENT_AGAIN ? 2 : 1; times > 0; ) {
      entry.tries += 1
      const status = await post(signed.url, signed)
      if (status >= 200 && status < 300) {
        entry.acknowledged += 1
        times -= 1
      } else await pause(RETRY_MS * (0.5 + random()))
    }
  }

  async function play(
    connection: string,
    change: Partial<SampleCall> = {},
    before: (call: SampleCall) => Promise<void> = async () => undefined,
  ): Promise<SampleCall> {
    placed += 1
    const call = await callNo(placed, change)
    calls.push({ connection, call })
    const webhooks = company.sandbox.world.vendor(connection).place?.(call) ?? []
    await before(call)
    // In no order: they are sent at once, and those that were not taken come later.
    await Promise.all(webhooks.map((webhook) => send(connection, webhook)))
    return call
  }

  return {
    log,
    calls,
    play,
    start(everyMs, most = Number.POSITIVE_INFINITY) {
      playing = true
      loop = (async () => {
        while (playing && placed < most) {
          const connection = PHONE_SYSTEMS[placed % 2] ?? ''
          const playingOne = play(connection, {
            ...(random() < 0.4 ? { result: 'no_answer' as const } : {}),
            ...(random() < 0.3 ? sameCaller(calls.at(-1)?.call) : {}),
          }).then(() => undefined)
          sending.add(playingOne)
          playingOne.finally(() => sending.delete(playingOne)).catch(() => undefined)
          await pause(everyMs * (0.5 + random()))
        }
      })()
    },
    placed: () => loop,
    async finish() {
      playing = false
      await loop
      await Promise.all(sending)
    },
  }
}
