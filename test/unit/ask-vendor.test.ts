import { expect, it } from 'vitest'
import { masked } from '../../src/cli/ask-vendor.ts'
import type { Connection } from '../../src/config/model.ts'
import { CordboardError } from '../../src/errors.ts'

const connection = { secrets: ['key-of-ours'] } as unknown as Connection

it('a command that asks a vendor says what a person does: nothing is tried again by itself', () => {
  const down = masked(new CordboardError('vendor_down', 'No connection: ENOTFOUND'), connection)
  expect(down.fix).toBe('Check baseUrl, the network, and the vendor’s status page, then ask again')
  const named = masked(new CordboardError('rate_limited', 'HTTP 429', { fix: 'Ask for more' }), connection)
  expect(named.fix).toBe('Ask for more')
  const quoted = masked(new CordboardError('auth', 'no such key: key-of-ours'), connection)
  expect(quoted.message).toBe('no such key: •••')
})
