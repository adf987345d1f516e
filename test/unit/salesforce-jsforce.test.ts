import { generateKeyPairSync, sign } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Connection, OAuth2 } from 'jsforce'
import { afterEach, describe, expect, test } from 'vitest'
import { createSandbox } from '../../connectors/salesforce/sandbox.ts'
import type { VendorSandbox } from '../../src/connector/sandbox.ts'
import { testSigner } from '../kit/signer.ts'
import { SETTINGS, type Settings } from './salesforce-world.ts'

/**
 * Salesforce's own client judges the stand-in: jsforce as it is, with its HTTP, its logins and its reading of errors, over
 * loopback. What it understands here it understands there.
 */

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function start(settings: Settings = {}) {
  const started = Promise.withResolvers<number>()
  let vendor: VendorSandbox | undefined
  const server = serve(
    {
      fetch: (request) => vendor?.app.fetch(request) ?? new Response(null, { status: 503 }),
      port: 0,
      hostname: '127.0.0.1',
    },
    (info: AddressInfo) => started.resolve(info.port),
  )
  closers.push(() => server.close())
  const url = `http://127.0.0.1:${await started.promise}`
  let at = Date.parse('2026-03-04T11:22:33.000Z')
  let seed = 7
  vendor = createSandbox({
    now: () => at,
    random: () => {
      seed = (seed * 16_807) % 2_147_483_647
      return seed / 2_147_483_647
    },
    later: () => undefined,
    baseUrl: url,
    signer: testSigner,
    account: { ...SETTINGS, ...settings, baseUrl: url },
    deliver: async () => ({ status: 200 }),
    transcriptOf: () => null,
  })
  return { url, vendor, advance: (ms: number) => (at += ms) }
}

const client = { clientId: String(SETTINGS.clientId), clientSecret: String(SETTINGS.clientSecret) }

async function connected(settings: Settings = {}) {
  const org = await start(settings)
  const conn = new Connection({ oauth2: { loginUrl: org.url, ...client }, version: '67.0' })
  const who = await conn.authorize({ grant_type: 'client_credentials' })
  return { ...org, conn, who }
}

describe('jsforce', () => {
  test('logs in by client credentials, and knows who it is', async () => {
    const { conn, who, url } = await connected()
    expect(conn.instanceUrl).toBe(url)
    expect(who).toMatchObject({ organizationId: '00Dd0000000stndEAA', id: '005d0000000standAA' })
  })

  test('logs in by a JWT', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    const { url } = await start({ clientSecret: undefined, privateKey: pem, username: 'a@example.com' })
    const exp = Date.parse('2026-03-04T11:22:33.000Z') / 1000 + 120
    const claims = { iss: client.clientId, sub: 'a@example.com', aud: 'https://login.salesforce.com', exp }
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'RS256' })}.${part(claims)}`
    const assertion = `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
    const conn = new Connection({ oauth2: { loginUrl: url, clientId: client.clientId }, version: '67.0' })
    const grant_type = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
    await conn.authorize({ grant_type, assertion })
    expect(conn.accessToken).toMatch(/^00D/)
    await expect(conn.authorize({ grant_type, assertion: `${assertion}x` })).rejects.toMatchObject({
      name: 'invalid_grant',
    })
  })

  test('refreshes a session that has ended, with a refresh token that changes', async () => {
    const { url, advance } = await start({ refreshToken: '5Aep-first', rotates: true, tokenLifeMs: 60_000 })
    const oauth2 = new OAuth2({ loginUrl: url, ...client })
    const first: Record<string, unknown> = await oauth2.refreshToken('5Aep-first')
    expect(first.refresh_token).toMatch(/^5Aep/)
    const conn = new Connection({
      oauth2,
      instanceUrl: url,
      version: '67.0',
      accessToken: String(first.access_token),
      refreshToken: String(first.refresh_token),
    })
    advance(60_001)
    expect((await conn.query('SELECT ApiName, IsClosed FROM TaskStatus')).totalSize).toBe(4)
    expect(conn.accessToken).not.toBe(first.access_token)
    await expect(oauth2.refreshToken('5Aep-first')).rejects.toMatchObject({ name: 'invalid_grant' })
  })

  test('creates, reads, updates, finds and deletes', async () => {
    const { conn } = await connected()
    const { id } = await conn.create('Contact', { LastName: 'Jean', Phone: '06 39 98 01 42' })
    expect(id).toMatch(/^003[A-Za-z\d]{15}$/)
    expect(await conn.retrieve('Contact', id ?? '')).toMatchObject({ Name: 'Jean', Phone: '06 39 98 01 42' })
    expect(await conn.update('Contact', { Id: id ?? '', MobilePhone: '0639980142' })).toMatchObject({
      success: true,
    })
    const { searchRecords } = await conn.search(
      'FIND {0639980142} IN PHONE FIELDS RETURNING Contact(Id, Name)',
    )
    expect(searchRecords).toMatchObject([{ Id: id, Name: 'Jean', attributes: { type: 'Contact' } }])
    const { records, done } = await conn.query(`SELECT Id, Name FROM Contact WHERE Id = '${id}' LIMIT 1`)
    expect([done, records]).toMatchObject([true, [{ Id: id, Name: 'Jean' }]])
    await conn.destroy('Contact', id ?? '')
    await expect(conn.update('Contact', { Id: id ?? '', LastName: 'x' })).rejects.toMatchObject({
      name: 'ENTITY_IS_DELETED',
    })
  })

  test('upserts by an external id: made, then changed; told which it was', async () => {
    const { conn, vendor } = await connected()
    const upsert = (Subject: string) =>
      conn.upsert('Task', { Subject, Cordboard_Id__c: 'k-1' }, 'Cordboard_Id__c')
    const made = await upsert('one')
    expect(made).toMatchObject({ success: true, created: true })
    expect(await upsert('two')).toMatchObject({ id: made.id, created: false })
    expect(vendor.book().filter(({ kind }) => kind === 'task')).toMatchObject([
      { fields: { Subject: 'two', Cordboard_Id__c: 'k-1' } },
    ])
  })

  test('of twenty upserts of one key at once one is made; the others are told which', async () => {
    const { conn, vendor } = await connected()
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        conn.upsert('Task', { Subject: String(i), Cordboard_Id__c: 'k-1' }, 'Cordboard_Id__c').then(
          () => 'made or changed',
          (error: Error) => `${error.name} ${/id: (\w+)/.exec(error.message)?.[1]}`,
        ),
      ),
    )
    const [task, ...others] = vendor.book().filter(({ kind }) => kind === 'task')
    expect(others).toEqual([])
    expect(new Set(all)).toEqual(new Set(['made or changed', `DUPLICATE_VALUE ${task?.id}`]))
  })

  test('reads each refusal by its name', async () => {
    const { conn } = await connected({ uniqueKey: false })
    const names = async (record: Record<string, unknown>) =>
      conn.create('Task', record).then(
        () => 'taken',
        (error: Error) => error.name,
      )
    expect(await names({ Subject: 'x' })).toBe('taken')
    expect(await names({ Nothing__c: 'x' })).toBe('INVALID_FIELD')
    expect(await names({ AccountId: '001d00000000001AAA' })).toBe('INVALID_FIELD_FOR_INSERT_UPDATE')
    expect(await names({ Description: 'x'.repeat(32_001) })).toBe('STRING_TOO_LONG')
    expect(await names({ CallType: 'Sideways' })).toBe('INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST')
    expect(await names({ WhoId: '003d00000000999AAA' })).toBe('INVALID_CROSS_REFERENCE_KEY')
    expect(await names({ ActivityDate: '2026-03-04T00:00:00Z' })).toBe('INVALID_TYPE_ON_FIELD_IN_RECORD')
    await expect(conn.create('Lead', { LastName: 'x' })).rejects.toMatchObject({
      name: 'REQUIRED_FIELD_MISSING',
    })
    await expect(conn.query("SELECT Id FROM Task WHERE Description = 'x'")).rejects.toMatchObject({
      name: 'INVALID_FIELD',
    })
    await expect(conn.query('SELECT Id FROM Task WHERE')).rejects.toMatchObject({ name: 'MALFORMED_QUERY' })
    await expect(conn.search('FIND {+33} IN PHONE FIELDS RETURNING Lead(Id)')).rejects.toMatchObject({
      name: 'MALFORMED_SEARCH',
    })
    for (const Subject of ['a', 'b']) await conn.create('Task', { Subject, Cordboard_Id__c: 'k' })
    await expect(
      conn.upsert('Task', { Subject: 'c', Cordboard_Id__c: 'k' }, 'Cordboard_Id__c'),
    ).rejects.toMatchObject({
      name: 'MULTIPLE_CHOICES',
    })
  })

  test('knows the fields, and what of the day is used', async () => {
    const { conn } = await connected({ dailyLimit: 2 })
    const { fields } = await conn.describe('Task')
    expect(fields.find(({ name }) => name === 'TaskSubtype')).toMatchObject({
      createable: true,
      updateable: false,
    })
    expect(conn.limitInfo.apiUsage).toEqual({ used: 1, limit: 2 })
    await conn.describe('Lead')
    await expect(conn.describe('Lead')).rejects.toMatchObject({ name: 'REQUEST_LIMIT_EXCEEDED' })
  })
})
