import { expect, test } from 'vitest'
import { agentIdOf, ownerIdOf } from '../../src/connector/crm-owner.ts'
import { CordboardError } from '../../src/errors.ts'
import { commonCall } from '../kit/connector/samples.ts'

const silent = () => undefined
const warned: string[] = []
const ctx = (owners: { map?: Record<string, string>; fallback?: string } = {}) => ({
  config: { owners: { by: 'email' as const, map: {}, fallback: undefined, ...owners } },
  log: { debug: silent, info: silent, error: silent, warn: (message: string) => void warned.push(message) },
})
const known = async (email: string) => (email === 'alice.martin@example.com' ? '7' : null)
const by = (agent: Record<string, string>) => ({ ...commonCall(), agent })

test('an owner is the id that is named, or the user of an address, or the fallback', async () => {
  expect(await ownerIdOf('5', ctx({ fallback: '9' }), known)).toBe('5')
  expect(await ownerIdOf('alice.martin@example.com', ctx({ fallback: '9' }), known)).toBe('7')
  expect(await ownerIdOf('nobody@example.com', ctx({ fallback: '9' }), known)).toBe('9')
  expect(await ownerIdOf('nobody@example.com', ctx(), known)).toBeNull()
})

test('where the plan names nobody, nobody becomes the owner', async () => {
  expect(await ownerIdOf(undefined, ctx({ fallback: '9' }), known)).toBeNull()
})

test('whoever gets the calls of all others is nobody’s agent', async () => {
  const fallback = ctx({ fallback: '9' })
  expect(await agentIdOf(by({ email: 'nobody@example.com' }), fallback, known)).toBeNull()
  expect(await agentIdOf(by({ name: 'Somebody' }), fallback, known)).toBeNull()
  expect(await agentIdOf(by({ email: 'alice.martin@example.com' }), fallback, known)).toBe('7')
  expect(await agentIdOf(by({ extension: '101' }), ctx({ map: { '101': '3' } }), known)).toBe('3')
  expect(await agentIdOf(by({ name: 'Somebody' }), fallback, known, '4')).toBe('4')
})

test('users that may not be read leave the fallback, and it is said; any other failure is one', async () => {
  const refused = (code: 'forbidden' | 'vendor_down') => () => Promise.reject(new CordboardError(code, 'no'))
  warned.length = 0
  expect(await ownerIdOf('a@example.com', ctx({ fallback: '9' }), refused('forbidden'))).toBe('9')
  expect(warned).toHaveLength(1)
  await expect(
    ownerIdOf('a@example.com', ctx({ fallback: '9' }), refused('vendor_down')),
  ).rejects.toMatchObject({
    code: 'vendor_down',
  })
})
