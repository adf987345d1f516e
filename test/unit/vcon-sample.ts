import { type Call, call as callSchema } from '../../src/call/call.ts'

/** A call that has everything a vCon has a place for. */

export const OPTIONS = { createdAt: '2026-11-27T10:00:00.000Z', vendor: 'Scribe' }
export const ID = 'call_01KJT0QZ5M0000000000000KTB'

export const sample: Call = callSchema.parse({
  id: ID,
  source: { connection: 'pbx', callId: '77' },
  direction: 'inbound',
  result: 'answered',
  startedAt: '2026-11-27T09:00:00.000Z',
  totalMs: 61_500,
  from: { phone: '+33639980142', phoneRaw: '+33639980142' },
  dialed: { phone: '+33199001234', phoneRaw: '+33199001234' },
  customer: {
    phone: '+33639980142',
    phoneRaw: '+33639980142',
    name: 'Jean',
    email: 'jean@example.com',
    id: 'c-9',
  },
  agent: { name: 'Alice', group: 'Support', id: '101' },
  recordings: [
    {
      key: 'r1',
      format: 'wav',
      channels: 2,
      tracks: { left: 'agent', right: 'customer' },
      url: 'https://pbx.example.com/r1.wav',
      contentHash: `sha512-${'a'.repeat(86)}`,
      durationMs: 60_000,
      state: 'ready',
    },
  ],
})
