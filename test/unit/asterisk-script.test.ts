import { spawn, spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { config, record } from '../../connectors/asterisk/schema.ts'
import type { CallEvent } from '../../src/call/facts.ts'
import { inboundRequest } from '../../src/connector/request.ts'
import { verifyRequest } from '../../src/connector/verify.ts'
import { verifier } from '../kit/signer.ts'
import { FOLDER, read, SECRET, SETTINGS, webhook } from './asterisk-records.ts'

const SCRIPT = fileURLToPath(new URL('pbx/cordboard-asterisk.sh', FOLDER))

/**
 * The script as it is, against a server that decides as ours does: it needs sh, curl and openssl, which an Asterisk
 * machine has too.
 */
describe('the script on the PBX', () => {
  let folder = ''
  let server: Server
  let status = 202
  let received: { events: CallEvent[]; why: string | undefined; body: string }[] = []
  const spool = () => readdirSync(join(folder, 'spool')).filter((name) => name !== 'lock')

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cordboard-asterisk-'))
    received = []
    status = 202
    server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', async () => {
        const raw = {
          method: request.method ?? '',
          url: 'https://hooks.example.com/hooks/pbx',
          path: '',
          headers: Object.entries(request.headers).map(([name, value]): [string, string] => [
            name,
            `${value}`,
          ]),
          body: new Uint8Array(Buffer.concat(chunks)),
          receivedAt: new Date().toISOString(),
        }
        const verification = webhook?.verify(config.parse(SETTINGS))
        if (!verification) throw new Error('no webhook')
        const verified = await verifyRequest(inboundRequest(raw), verification, {
          now: Date.now(),
          signer: verifier,
        })
        const body = new TextDecoder().decode(raw.body)
        const why = verified.ok ? undefined : verified.reason
        received.push({ events: verified.ok ? read(body) : [], why, body })
        response.writeHead(verified.ok ? status : 401).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    settings(SECRET)
  })
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true, force: true })
  })

  function settings(secret: string): void {
    const { port } = server.address() as AddressInfo
    const lines = [
      `URL=http://127.0.0.1:${port}/hooks/pbx`,
      `SECRET='${secret}'`,
      `RECORDS=${folder}/cordboard.csv`,
      `RECORDINGS=${folder}/monitor`,
      `SPOOL=${folder}/spool`,
    ]
    writeFileSync(join(folder, 'settings'), lines.join('\n'))
  }

  /** Not spawnSync: the server runs in this process. */
  function run(...args: string[]): Promise<{ code: number | null; said: string }> {
    const child = spawn('sh', [SCRIPT, ...args], {
      env: { PATH: process.env.PATH, TZ: 'UTC', CORDBOARD_CONF: join(folder, 'settings') },
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, said })))
  }
  /** As Asterisk 22.10.1 wrote it (2026-11-27), with another number. */
  const row = (serial: number, { clid = '"" <>', src = '' } = {}) =>
    `"1772623353.120345","0.000000","1772623425.100456",${[clid, src].map((one) => `"${one.replaceAll('"', '""')}"`).join()},"101","PJSIP/provider-00000001","","Dial","PJSIP/101,30","BUSY","","1772623353.${serial}","1772623353.${serial}","${serial}","33199001234","","","","",""\n`

  it('sends the records that Asterisk wrote, signed, and leaves nothing behind', async () => {
    writeFileSync(
      join(folder, 'cordboard.csv'),
      row(1) + row(2, { clid: '"Zo\u00eb \\"x\\" \\\\ Y, ","" <33639980142>', src: '33639980142' }),
    )
    expect(await run('send')).toEqual({ code: 0, said: '' })
    expect(received.map(({ why }) => why)).toEqual([undefined])
    expect(received[0]?.events.map(({ callId }) => callId)).toEqual(['1772623353.1', '1772623353.2'])
    expect(received[0]?.events[1]?.facts).toMatchObject({
      from: { phone: '+33639980142' },
      customer: { name: 'Zo\u00eb "x" \\ Y, ","' },
      result: 'busy',
      startedAt: '2026-03-04T11:22:33.120Z',
    })
    expect(spool()).toEqual([])
    expect(await run('send')).toEqual({ code: 0, said: '' })
    expect(received).toHaveLength(1)
  })

  it('a line that is cut off or has control characters spoils no other', async () => {
    const cut = `"17726\n"1",\n\n${row(3).trim()},"one more"\n`
    writeFileSync(join(folder, 'cordboard.csv'), `${row(1, { src: 'a\u0007\tb' })}${cut}${row(2)}`)
    const { code, said } = await run('send')
    expect(code).toBe(0)
    expect(said.match(/record \d has not the 21 columns/g)).toHaveLength(4)
    expect(received[0]?.events.map(({ callId }) => callId)).toEqual(['1772623353.1', '1772623353.2'])
    expect(received[0]?.events[0]?.facts.from?.phoneRaw).toBe('ab')
  })

  it('many records go in posts of a hundred', async () => {
    writeFileSync(join(folder, 'cordboard.csv'), Array.from({ length: 250 }, (_, i) => row(i)).join(''))
    expect((await run('send')).code).toBe(0)
    expect(received.map(({ events }) => events.length)).toEqual([100, 100, 50])
  })

  it('keeps what is not accepted, and sends the same bytes again with a new time', async () => {
    status = 503
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    const failed = await run('send')
    expect(failed.code).toBe(1)
    expect(failed.said).toMatch(/answered 503/)
    expect(spool()).toHaveLength(1)
    status = 202
    writeFileSync(join(folder, 'cordboard.csv'), row(2))
    expect(await run('send')).toEqual({ code: 0, said: '' })
    expect(received.map(({ body }) => body)).toEqual([
      received[1]?.body,
      received[0]?.body,
      received[2]?.body,
    ])
    expect(received[2]?.events[0]?.callId).toBe('1772623353.2')
    expect(spool()).toEqual([])
  })

  it('another secret is refused, and nothing is lost', async () => {
    settings('another-secret')
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    expect((await run('send')).code).toBe(1)
    expect(received[0]?.why).toMatch(/does not fit/)
    expect(spool()).toHaveLength(1)
  })

  it.each(['a', 'x'.repeat(64), 'with $(date) and \\ and \u00e9'])(
    'any secret up to 64 bytes signs (%#)',
    (secret) => {
      settings(secret)
      const hmac = readFileSync(SCRIPT, 'utf8').replace(/^case \$\{1:-\} in[\s\S]*/m, 'hmac\n')
      const made = spawnSync('sh', ['-c', hmac], {
        input: 'text\n',
        encoding: 'utf8',
        env: { PATH: process.env.PATH, CORDBOARD_CONF: join(folder, 'settings') },
      })
      const wanted = createHmac('sha256', secret).update('text\n').digest('hex')
      expect(made.stdout.trim()).toBe(wanted)
    },
  )

  it('says that a recording is closed, by its name and size', async () => {
    const day = join(folder, 'monitor/2026/03/04')
    mkdirSync(day, { recursive: true })
    writeFileSync(
      join(day, 'in-33199001234-+33639980142-20260304-112233-1772623353.128.wav'),
      'x'.repeat(100),
    )
    writeFileSync(join(day, 'in-33199001234-+33639980142-20260304-112234-1772623353.1280.wav'), 'other')
    expect(await run('recorded', '1772623353.128', '1772623353.127')).toEqual({ code: 0, said: '' })
    expect(received[0]?.events).toMatchObject([
      {
        key: '1772623353.127:recorded:in-33199001234-+33639980142-20260304-112233-1772623353.128.wav',
        callId: '1772623353.127',
        alsoKnownAs: ['1772623353.128'],
        facts: { recordings: [{ state: 'ready', bytes: 100 }] },
      },
    ])
  })

  it.each(['"', '\\', '\u0007'])('a name with %j in it is not told: it would break JSON', async (sign) => {
    const day = join(folder, 'monitor/2026/03/04')
    mkdirSync(day, { recursive: true })
    writeFileSync(join(day, `in-a${sign}b-20260304-112233-1772623353.128.wav`), 'x'.repeat(100))
    const { code, said } = await run('recorded', '1772623353.128', '1772623353.128')
    expect(code).toBe(1)
    expect(said).toMatch(/quotes, backslashes or control characters/)
    expect(received).toEqual([])
  })

  it('a recording that began after midnight lies in the next day’s folder', async () => {
    const day = join(folder, 'monitor/2026/03/05')
    mkdirSync(day, { recursive: true })
    writeFileSync(join(day, '20260305-000001-pbx1-1772668799.7.wav'), 'x'.repeat(100))
    expect((await run('recorded', 'pbx1-1772668799.7', 'pbx1-1772668799.7')).code).toBe(0)
    expect(received).toHaveLength(1)
  })

  it.each([
    [['recorded', '1.1;touch x', '1.1'], /other characters/],
    [['recorded', '$(id)', '1.1'], /other characters/],
    [['recorded', '../../1.1', '1.1'], /other characters/],
    [['recorded', '*', '1.1'], /other characters/],
    [['recorded', 'abc', '1.1'], /no uniqueid/],
    [['recorded', '1772623353.128', '1772623353.128'], /has no recording/],
    [['recorded', '1772623353.128'], /wants/],
    [['other'], /say send/],
  ])('refuses %j', async (args, why) => {
    const { code, said } = await run(...args)
    expect(code).toBe(1)
    expect(said).toMatch(why)
    expect(received).toEqual([])
  })

  it('sends to https alone, beyond this machine', async () => {
    writeFileSync(join(folder, 'settings'), 'URL=http://pbx.example.com/hooks/pbx\nSECRET=x\n')
    expect((await run('send')).said).toMatch(/not https/)
  })

  it('two at once send once; the lock of one that died is taken over', async () => {
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    await Promise.all([run('send'), run('send')])
    expect(received).toHaveLength(1)
    mkdirSync(join(folder, 'spool/lock'))
    writeFileSync(join(folder, 'spool/lock/pid'), '999999999')
    writeFileSync(join(folder, 'cordboard.csv'), row(2))
    expect((await run('send')).code).toBe(0)
    expect(received).toHaveLength(2)
  })

  it('what another run was killed over is still sent', async () => {
    mkdirSync(join(folder, 'spool'))
    writeFileSync(join(folder, 'spool/records.1772623353'), row(1))
    writeFileSync(join(folder, 'spool/part.aaaa'), row(1))
    expect((await run('send')).code).toBe(0)
    expect(received.map(({ events }) => events.length)).toEqual([1])
    expect(spool()).toEqual([])
  })

  it('others can read neither the spool nor what is in it', async () => {
    status = 503
    writeFileSync(join(folder, 'cordboard.csv'), row(1))
    await run('send')
    const { stdout } = spawnSync('find', [join(folder, 'spool'), '-perm', '/077'], { encoding: 'utf8' })
    expect(stdout).toBe('')
    chmodSync(join(folder, 'spool'), 0o700)
    expect(existsSync(join(folder, 'cordboard.csv'))).toBe(false)
  })
})

/** Of what only Asterisk can parse, the form: tried by hand on Asterisk 22 and 16 (README.md). */
describe('the configuration for the PBX', () => {
  const text = (name: string) => readFileSync(new URL(`pbx/${name}`, FOLDER), 'utf8')
  const lines = (name: string) =>
    text(name)
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith(';'))

  it('the columns of a record are those that the script expects, and all are known to the connector', () => {
    const [section, mapping = ''] = lines('cdr_custom.conf')
    expect(section).toBe('[mappings]')
    const [, file, columns = ''] = /^(\S+) => (.*)$/.exec(mapping) ?? []
    expect(text('cordboard-asterisk.sh')).toContain(`/cdr-custom/${file}`)
    const form = /^\$\{CSV_QUOTE\(\$\{CDR\((\w+)(?:,u)?\)\}\)\}$/
    const names = columns.split(/,(?=\$)/).map((column) => form.exec(column)?.[1])
    expect(names).toEqual(/COLUMNS='([^']*)'/.exec(text('cordboard-asterisk.sh'))?.[1]?.split(/\s+/))
    expect(columns.match(/CDR\(\w+,u\)/g)).toEqual(['CDR(start,u)', 'CDR(answer,u)', 'CDR(end,u)'])
    expect(names.filter((name) => !record.keyof().options.includes(name as never))).toEqual([])
  })

  it('the dialplan’s subroutine returns, has balanced brackets, and runs a command without a caller’s words', () => {
    const [context, ...plan] = lines('extensions_cordboard.conf')
    expect(context).toBe('[cordboard-record]')
    expect(plan[0]).toMatch(/^exten => s,1,/)
    expect(plan.slice(1).every((line) => /^same => n(?:\([a-z]+\))?,\w+\(/.test(line))).toBe(true)
    expect(plan.at(-1)).toMatch(/,Return\(\)$/)
    for (const line of plan) {
      for (const pair of ['()', '[]', '{}']) {
        const count = (char: string | undefined) => line.split(char ?? '').length
        expect(count(pair[0]), line).toBe(count(pair[1]))
      }
    }
    const command = /MixMonitor\(.*,b,(.*)\)$/.exec(
      plan
        .join('\n')
        .split('\n')
        .find((line) => line.includes('MixMonitor')) ?? '',
    )
    expect(command?.[1]?.match(/\^\{[^}]*\}/g)).toEqual(['^{UNIQUEID}', '^{CHANNEL(linkedid)}'])
    expect(command?.[1]).not.toContain('$')
    for (const [, label] of plan.join('\n').matchAll(/\?(\w+)\)$/gm))
      expect(plan.join('\n')).toContain(`n(${label})`)
  })

  it('the script is plain sh, may be executed, and shows the secret to no other process', () => {
    expect(spawnSync('sh', ['-n', SCRIPT]).status).toBe(0)
    expect(spawnSync('test', ['-x', SCRIPT]).status).toBe(0)
    // Of a command that is not built into the shell everybody sees the arguments: the secret may be none.
    const uses = text('cordboard-asterisk.sh').match(/^.*\$\{?#?SECRET.*$/gm) ?? []
    expect(uses.map((line) => line.trim().split(' ')[0])).toEqual(['[', '[', 'for'])
    expect(uses.at(-1)).toContain('printf %s "$SECRET" |')
  })
})
