import type { Recording } from '../../src/call/call.ts'
import type { ConnectorContext } from '../../src/connector/contract.ts'
import { failOn } from '../../src/connector/fail-on.ts'
import { CordboardError } from '../../src/errors.ts'

const MAX_RECORDING_BYTES = 4 * 1024 ** 3

/** Behind a link. What was uploaded lies in the media store, where the pipeline takes it from. */
export async function fetchRecording({ url }: Recording, ctx: ConnectorContext<unknown>): Promise<Response> {
  if (url === undefined) {
    throw new CordboardError('no_recording', 'The recording is neither uploaded nor behind a link', {
      fix: 'Hand the call in again with the file or its URL',
    })
  }
  const response = await ctx.fetch(url, { redirects: 3, maxBytes: MAX_RECORDING_BYTES })
  return failOn(response, { what: 'Intake: fetch the recording', now: ctx.now })
}
