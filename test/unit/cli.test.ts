import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Command, defineCommand } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { configText } from '../../src/cli/config-text.ts'
import { exitCode } from '../../src/cli/exit.ts'
import { parse } from '../../src/cli/parse.ts'
import { clockText, table } from '../../src/cli/table.ts'
import { defineConnector } from '../../src/connector/contract.ts'
import { secretList, secretValue } from '../../src/connector/secret.ts'
import { CordboardError } from '../../src/errors.ts'
import { secretsOf } from '../../src/node/config-file.ts'
import { lockDataDir, runningServer } from '../../src/node/lock.ts'
import { createLog } from '../../src/node/log.ts'
import { openTokens, readAdminToken, sharedTokens } from '../../src/node/tokens.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cordboard-cli-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function caught(work: () => unknown): CordboardError {
  try {
    work()
  } catch (error) {
    if (error instanceof CordboardError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a command line', () => {
  const command: Command = defineCommand({
    usage: 'show <id>',
    about: 'test',
    examples: [],
    options: {
      json: { type: 'boolean', about: 'lines' },
      limit: { type: 'string', value: 'N', about: 'how many' },
    },
    args: [1, 1],
    run: async () => 0,
  })
  const read = (...words: string[]) => parse('show', command, words)

  it('is flags and words in any order', () => {
    const expected = { flags: { json: true, limit: '5' }, args: ['call_1'], more: {} }
    expect(read('--json', 'call_1', '--limit', '5')).toEqual(expected)
    expect(read('--limit=5', 'call_1', '--json')).toEqual(expected)
    expect(read('call_1', '--limit', '-5').flags).toEqual({ limit: '-5' })
    expect(read('--', '--json').args).toEqual(['--json'])
  })

  it.each([
    [['call_1', '--jsno'], 'show has no option --jsno', 'Did you mean --json?'],
    [['call_1', '-x'], 'show has no option -x', 'Read: cordboard show --help'],
    [['call_1', '--limit'], '--limit needs a value', 'Read: cordboard show --help'],
    [['call_1', '--limit', '--json'], '--limit needs a value', 'Read: cordboard show --help'],
    [['call_1', '--json=yes'], '--json takes no value', 'Read: cordboard show --help'],
    [[], 'show needs <id>', 'Read: cordboard show --help'],
    [['call_1', 'call_2'], 'There is one word too many: call_2', 'Read: cordboard show --help'],
  ])('%j is refused', (words, message, fix) => {
    const error = caught(() => read(...words))
    expect([error.code, error.message, error.fix]).toEqual(['bad_request', message, fix])
  })

  it('leaves to the command what only the command knows, when it says so', () => {
    const open = (...words: string[]) => parse('show', { ...command, args: [1, 3], takesMore: true }, words)
    expect(open('acme', 'tasks', 'list', '--where', 'a=b', '--json', '--where=c=d', '--deep')).toEqual({
      flags: { json: true },
      args: ['acme', 'tasks', 'list'],
      more: { where: ['a=b', 'c=d'], deep: ['true'] },
    })
    expect(open('acme', '--since', '--', 'x').more).toEqual({ since: ['true'] })
    expect(caught(() => open('acme', '-x')).message).toBe('show has no option -x')
  })

  it('every command loads, has examples that begin with it, and describes its options', async () => {
    for (const [name, entry] of Object.entries(commands)) {
      const { command: one } = await entry.load()
      expect(one.usage.split(' ')[0]).toBe(name)
      expect(one.examples.length).toBeGreaterThan(0)
      expect(entry.about).not.toMatch(/\.$/)
      for (const { type, value } of Object.values(one.options))
        expect(value !== undefined).toBe(type === 'string')
    }
  })

  it('ends with a code that scripts can tell apart', () => {
    expect(exitCode('bad_request')).toBe(2)
    expect(exitCode('config')).toBe(3)
    expect(exitCode('auth')).toBe(4)
    expect(exitCode('unknown_object')).toBe(1)
  })
})

describe('tables', () => {
  it('align, and end without blanks', () => {
    expect(
      table([
        ['a', null, 'long'],
        ['bbb', 'c', ''],
      ]),
    ).toEqual(['a       long', 'bbb  c'])
    expect([0, 42_000, 402_000, 3_723_000].map((ms) => clockText(ms))).toEqual([
      '0:00',
      '0:42',
      '6:42',
      '1:02:03',
    ])
  })
})

describe('the log', () => {
  const lines: string[] = []
  const log = createLog({
    pretty: false,
    secrets: ['s3cret/value+1'],
    write: (line) => lines.push(line),
    now: () => 1,
  })
  afterEach(() => lines.splice(0))

  it('has pino’s fields, whatever a field is called', () => {
    log.info('a step ran', { step: 'stp_1', level: 'no', msg: 'no', ms: 12, missing: undefined })
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 30,
      time: 1,
      pid: process.pid,
      msg: 'a step ran',
      step: 'stp_1',
      ms: 12,
    })
  })

  it('holds no phone number and no secret, however they are spelled', () => {
    log.error('no answer for +33 6 39 98 00 01', {
      url: `https://x.example/?key=${encodeURIComponent('s3cret/value+1')}`,
      header: Buffer.from('s3cret/value+1').toString('base64'),
    })
    expect(lines[0]).not.toMatch(/39 ?98|s3cret|czNjcmV0/)
    expect(lines[0]).toContain('01')
  })

  it('is silent below its level', () => {
    log.debug('nothing')
    expect(lines).toEqual([])
  })
})

describe('tokens', () => {
  it('come from the environment', () => {
    const { tokens, created } = openTokens(folder, { CORDBOARD_TOKENS: 'viewer:0123456789abcdef' })
    expect(tokens).toEqual([{ role: 'viewer', token: '0123456789abcdef' }])
    expect(created).toBeNull()
  })

  it('else one is made, shown once, and kept for the owner only', () => {
    const first = openTokens(join(folder, 'data'), {})
    const again = openTokens(join(folder, 'data'), {})
    expect(first.created).toMatch(/^[0-9a-f]{48}$/)
    expect(again.created).toBeNull()
    expect(again.tokens).toEqual([{ role: 'admin', token: first.created }])
    expect(readAdminToken(join(folder, 'data'))).toBe(first.created)
    expect(statSync(join(folder, 'data/admin-token')).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700)
  })
})

describe('the lock of a data folder', () => {
  it('has one holder, which others can find, and is free afterwards', () => {
    expect(runningServer(folder)).toBeNull()
    const lock = lockDataDir(folder)
    const lockFile = join(folder, 'server.lock')
    if (process.platform !== 'win32') expect(statSync(lockFile).mode & 0o777).toBe(0o600)
    lock.announce('http://127.0.0.1:8080')
    expect(runningServer(folder)).toMatchObject({ pid: process.pid, url: 'http://127.0.0.1:8080' })
    const error = caught(() => lockDataDir(folder))
    expect(error.code).toBe('config')
    expect(error.why).toContain(`Process ${process.pid} has been serving http://127.0.0.1:8080`)
    lock.release()
    expect(runningServer(folder)).toBeNull()
    lockDataDir(folder).release()
  })
})

describe('secrets', () => {
  it('come from the environment, then from files, then from .env', () => {
    writeFileSync(join(folder, 'file'), 'from-file\n')
    writeFileSync(join(folder, '.env'), 'DOT=from-dot\nBOTH=from-dot\n')
    const env = {
      PLAIN: 'from-env',
      BOTH: 'from-env',
      KEPT_FILE: join(folder, 'file'),
      GONE_FILE: join(folder, 'no'),
    }
    const { resolveSecret, originOf } = secretsOf(env, join(folder, '.env'))
    expect(['PLAIN', 'BOTH', 'KEPT', 'DOT', 'NONE'].map(resolveSecret)).toEqual([
      'from-env',
      'from-env',
      'from-file',
      'from-dot',
      undefined,
    ])
    expect(['PLAIN', 'KEPT', 'DOT', 'NONE'].map(originOf)).toEqual([
      'env PLAIN',
      `file ${join(folder, 'file')}`,
      '.env DOT',
      null,
    ])
    expect(caught(() => resolveSecret('GONE')).message).toBe('The file that GONE_FILE names cannot be read')
  })

  it('that are empty do not hide the file beside them, and an empty name of a file is none', () => {
    const file = join(folder, 'file')
    writeFileSync(file, 'admin:0123456789abcdef\n')
    const env = { KEPT: '', KEPT_FILE: file, PLAIN: 'x', PLAIN_FILE: '', EMPTY: '' }
    const { resolveSecret, originOf } = secretsOf(env, join(folder, 'no.env'))
    expect(['KEPT', 'PLAIN', 'EMPTY'].map(resolveSecret)).toEqual(['admin:0123456789abcdef', 'x', ''])
    expect(['KEPT', 'PLAIN'].map(originOf)).toEqual([`file ${file}`, 'env PLAIN'])
    const shared = sharedTokens({ CORDBOARD_TOKENS: '', CORDBOARD_TOKENS_FILE: file })
    expect(shared?.map(({ role }) => role)).toEqual(['admin'])
  })
})

describe('the configuration that init writes', () => {
  const config = z.object({
    account: z.string().describe('of the dashboard'),
    lines: z.array(z.string()).min(1),
    baseUrl: z.url(),
    key: z.union([z.string(), z.array(z.string())]),
    mode: z.enum(['live', 'test']),
    token: secretValue,
    hook: secretList.optional().describe('signs webhooks'),
    note: z.string().optional(),
  })
  const connector = defineConnector({
    id: 'acme',
    name: 'Acme',
    docs: '',
    config,
    check: async () => ({ says: '' }),
  })

  it('asks the environment for secrets alone, leaves empty what must be filled in, and reminds of optional secrets', () => {
    const draft = {
      publicUrl: undefined,
      region: 'FR',
      flows: [{ from: ['my-acme'], analyze: [], write: [] }],
    }
    const text = configText({
      ...draft,
      connections: [{ id: 'my-acme', connector, known: { mode: 'live' } }],
    })
    expect(text.config).toContain(`
    'my-acme': {
      use: 'acme',
      account: '',  // of the dashboard
      lines: [],
      baseUrl: '',
      key: '',
      mode: 'live',
      token: secret('MY_ACME_TOKEN'),
      // hook: secret('MY_ACME_HOOK'),  // signs webhooks
    },`)
    expect(text.config).toContain("  // publicUrl: 'https://calls.example.com',\n  region: 'FR',")
    expect(text.env).toBe('MY_ACME_TOKEN=\n')
  })
})

it('the entry of the command line runs on an old Node: plain JavaScript that loads the rest only after it looked', () => {
  const entry = readFileSync(new URL('../../bin/cordboard.js', import.meta.url), 'utf8')
  const imported = [...entry.matchAll(/^import .* from '(.*)'$/gm)].map(([, from]) => from)
  expect(imported.length).toBeGreaterThan(0)
  expect(imported.every((from) => from?.startsWith('node:'))).toBe(true)
  expect(entry.indexOf('>= OLDEST')).toBeGreaterThan(0)
  expect(entry.indexOf('await import(')).toBeGreaterThan(entry.indexOf('>= OLDEST'))
})
