import { GENERIC, sandboxVendors, type Vendors } from './company.ts'
import { genericWebhook } from './generic.ts'
import { type Installation, type InstallOptions, install, sampleCall } from './installation.ts'

// A company whose calls go to a service that takes them one by one, in files of many, or as transcripts.

export const CYBERDEV = 'sandbox-cyberdev'
const NEXT = 'sandbox-transcripto'

const SETTINGS = {
  token: 'sandbox-cyberdev-token',
  segmentType: 'sales',
  // What a segment is called there; the stand-in knows no `closed-down`.
  segments: { helpdesk: 'support', closed: 'closed-down' },
  tracks: { left: 'customer', right: 'agent' },
  results: { transcript: 'text', title: 'llm.title', summary: 'llm.summary', actions: 'llm.actions' },
  searchLagMs: 120_000,
}

/** `settings: undefined` in it takes a key away. */
export async function company(
  settings: Record<string, unknown> = {},
  options: { analyze?: string[]; config?: Record<string, unknown> } = {},
): Promise<Installation> {
  const { analyze = [CYBERDEV], ...more } = options
  const vendors: Vendors = {
    ...GENERIC,
    ...sandboxVendors('transcripto', 'hubspot'),
    [CYBERDEV]: { use: 'cyberdev', settings: { ...SETTINGS, ...settings } },
  }
  const install_: InstallOptions = {
    vendors,
    flows: [{ name: 'all', from: ['pbx'], analyze, write: ['sandbox-hubspot'], unknownCaller: 'create' }],
    ...more,
  }
  return install(install_)
}

export const both = [CYBERDEV, NEXT]

/** Tells of a finished call with its recording, as the phone system of the scenarios does. */
export async function ring(
  it: Installation,
  id: string,
  change: { segment?: string; recording?: Record<string, unknown>; audio?: Uint8Array } = {},
): Promise<void> {
  const sample = await sampleCall(it.now(), { id })
  const audio = sample.audio && { ...sample.audio, bytes: change.audio ?? sample.audio.bytes }
  const [first, ...rest] = it.place('pbx', { ...sample, ...(audio ? { audio } : {}) })
  for (const webhook of [first, ...rest]) {
    if (webhook) await it.send('pbx', { ...webhook, body: changed(webhook.body, change) })
  }
}

function changed(body: string, change: { segment?: string; recording?: Record<string, unknown> }): string {
  const told = JSON.parse(body) as {
    events: { facts: { segment?: string; recordings?: Record<string, unknown>[] } }[]
  }
  for (const { facts } of told.events) {
    if (change.segment !== undefined) facts.segment = change.segment
    for (const recording of facts.recordings ?? []) Object.assign(recording, change.recording)
  }
  return JSON.stringify(told)
}

/** A finished call that brings its own transcript and no recording. */
export async function chat(
  it: Installation,
  id: string,
  turns: readonly { party: string; text: string }[],
): Promise<void> {
  const at = (ms: number) => new Date(it.now() - 60_000 + ms).toISOString()
  const facts = {
    direction: 'inbound',
    result: 'answered',
    startedAt: at(0),
    answeredAt: at(2_000),
    endedAt: at(50_000),
    customer: { phone: '+33639980001', phoneRaw: '+33639980001', name: 'Olga Ivanova' },
    agent: { extension: '101', id: 'a-7', name: 'Alice Martin', group: 'Sales Team' },
    transcript: { turns },
    recordingExpected: false,
  }
  await it.send('pbx', genericWebhook([{ key: `${id}:1`, callId: id, phase: 'ended', facts }]))
}

/** Requests to the service since the start, without those to its list. */
export const asked = (it: Installation): string[] =>
  it.wire
    .sent(CYBERDEV)
    .filter((line) => !line.startsWith('GET'))
    .map((line) => line.replace(/\/store\/.*\//, '/store/'))

export const handedOver = (it: Installation) =>
  it.held(CYBERDEV, 'submission').map(({ key, fields }) => ({ key, ...fields }))
