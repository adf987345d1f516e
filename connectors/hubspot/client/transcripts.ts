import { z } from 'zod'
import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { WritePart, WrittenParts } from '../../../src/connector/crm-role.ts'
import { CordboardError } from '../../../src/errors.ts'
import { hubspot } from '../client.ts'
import type { Config } from '../schema.ts'
import { ask, isRefusal } from './requests.ts'

/**
 * HubSpot's own view of a transcript, by its calling extensions: for OAuth public apps only. It has no way to change one.
 * https://developers.hubspot.com/docs/api-reference/latest/crm/extensions/calling-extensions/third-party-transcripts (read 2026-11-20)
 */

type Context = ConnectorContext<Config>

const pathOf = ({ apiVersion }: Config): string => `/crm/extensions/calling/${apiVersion}/transcripts`
const created = z.object({ id: z.union([z.string().min(1), z.int()]).transform(String) })

export async function handOver(part: WritePart, written: WrittenParts, ctx: Context): Promise<string> {
  if (part.externalId !== null) return part.externalId
  const call = written.call
  if (call === undefined) throw new CordboardError('internal', 'HubSpot: a transcript without its call')
  const body = {
    engagementId: Number(call),
    transcriptCreateUtterances: JSON.parse(part.fields.utterances ?? '[]') as unknown,
  }
  return (await ask(ctx, created, { method: 'POST', path: pathOf(ctx.config), body })).id
}

/** By the property in which calls show it; its name is known from other users only. */
export async function findTranscript(written: WrittenParts, ctx: Context): Promise<string | null> {
  const call = written.call
  if (call === undefined) return null
  const properties = ['hs_call_transcription_id']
  return (await hubspot(ctx).get('call', call, { properties }))?.properties.hs_call_transcription_id || null
}

/** There is none with this id: whoever may ask hears that, and nobody else does. */
export async function mayHandOver(ctx: Context): Promise<void> {
  try {
    await ask(ctx, z.unknown(), { method: 'GET', path: `${pathOf(ctx.config)}/0` })
  } catch (error) {
    if (!isRefusal(error, 'not_found')) throw error
  }
}
