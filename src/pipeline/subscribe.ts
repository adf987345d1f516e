import { asCordboardError, CordboardError } from '../errors.ts'
import { following } from './regular.ts'
import { judge } from './retry.ts'
import type { Outcome, Running } from './step.ts'

/** subscribe: has the vendor call our hook, and goes on having it: where subscriptions end, this is what renews them. */
export async function subscribe(running: Running): Promise<Outcome> {
  const { deps, step, connection } = running
  const { telephony } = connection.connector
  const next = (how?: { failed: boolean }) => following(deps, 'subscribe', step, connection, how)
  if (!telephony?.subscribe || !connection.subscribe)
    return { done: 'the configuration no longer asks for it', ...next() }
  const context = running.context()
  if (context.hookUrl === undefined) {
    throw new CordboardError('config', `The webhook of ${connection.id} cannot be created`, {
      why: 'publicUrl is not configured, so there is no address that the vendor could call',
      fix: 'Set publicUrl, or remove subscribe from the connection',
    })
  }
  try {
    await telephony.subscribe(context.hookUrl, context)
  } catch (thrown) {
    return givenUp(running, thrown, next({ failed: true }))
  }
  return { done: 'the vendor calls our hook', ...next() }
}

/**
 * An error that would end the step for good ends only this one: what is regular comes again. Others are thrown: the step is
 * tried again, or waits for what opens it.
 */
export function givenUp(
  { deps, step, signal }: Running,
  thrown: unknown,
  follow: Pick<Outcome, 'queries' | 'next'>,
): Outcome {
  const error = asCordboardError(thrown)
  const isCutOff = signal.aborted || error.code === 'lease_lost'
  const { state } = judge(error, step, deps.now(), deps.random)
  // Nobody lets this one go again: a permission is given at the vendor, and nothing here hears of it.
  const isForbidden = state === 'parked' && error.code === 'forbidden'
  if (isCutOff || !(state === 'dead' || isForbidden)) throw error
  return { dead: error, ...follow }
}
