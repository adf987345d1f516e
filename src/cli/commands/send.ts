import { resolve } from 'node:path'
import type { Config, Connection } from '../../config/model.ts'
import { suggest } from '../../config/suggest.ts'
import type { RawRequest } from '../../connector/request.ts'
import { signRaw } from '../../connector/sign.ts'
import { CordboardError } from '../../errors.ts'
import { runningServer } from '../../node/lock.ts'
import { createSigner } from '../../node/signer.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import { EXIT } from '../exit.ts'
import { bodyOf, type Fixture, readFixture } from '../fixture.ts'
import { wrong } from '../parse.ts'

const TIMEOUT_MS = 10_000

export const command = defineCommand({
  usage: 'send <connector> <fixture> [--to URL] [--connection ID] [--tamper]',
  about:
    'Signs a fixture with the connection’s secret, as the vendor would, and posts it to a running server.',
  examples: [
    ['cordboard send twilio inbound-completed', 'to the server of this folder'],
    ['cordboard send twilio inbound-completed --tamper', 'changed after signing: must be refused'],
    ['cordboard send generic ./my-call.json --to https://calls.example.com', 'a file of your own'],
  ],
  options: {
    to: { type: 'string', value: 'URL', about: 'base URL of the server; default the one running here' },
    connection: {
      type: 'string',
      value: 'ID',
      about: 'whose secret; default the only one of this connector',
    },
    tamper: { type: 'boolean', about: 'change the request after it was signed' },
    ...configOption,
    ...dataOption,
    ...jsonOption,
  },
  args: [2, 2],
  async run({ flags, args: [connector = '', name = ''], io }) {
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const { config } = configured
    const connection = connectionFor(config, connector, flags.connection)
    const fixture = readFixture(connection.connector.id, name, io.cwd)
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const to = baseUrl(flags.to ?? runningServer(dataDir)?.url ?? 'http://127.0.0.1:8080')
    const signed = await signedRequest(fixture, connection, config.publicUrl ?? to)
    const request = flags.tamper ? tampered(signed) : signed
    const startedAt = performance.now()
    const response = await post(request, to, config.publicUrl)
    const ms = Math.round(performance.now() - startedAt)
    const expected = flags.tamper ? response.status === 401 : response.ok
    if (flags.json)
      io.json({ status: response.status, ms, connection: connection.id, tampered: flags.tamper ?? false })
    else {
      const mark = expected ? io.paint('green', '✔') : io.paint('red', '✖')
      io.out(
        `${mark} ${response.status} from ${to} for ${connection.id} in ${ms} ms${said(await response.text())}`,
      )
    }
    if (expected) io.err(flags.tamper ? 'Refused, as it should be.' : 'Next: cordboard calls')
    return expected ? EXIT.ok : EXIT.failed
  },
})

function connectionFor(config: Config, connector: string, given: string | undefined): Connection {
  const all = [...config.connections.values()].filter((one) => one.connector.id === connector)
  const found = given === undefined ? all : all.filter(({ id }) => id === given)
  const [first, second] = found
  if (first && !second) return first
  const ids = all.map(({ id }) => id).join(', ')
  const used = [...new Set([...config.connections.values()].map((one) => one.connector.id))]
  const meant = suggest(connector, used)
  const otherwise = meant ? `Did you mean ${meant}?` : `Add one, or use one of: ${used.join(', ')}`
  throw new CordboardError('bad_request', `It is not clear which connection is meant`, {
    why: ids === '' ? `No connection uses ${connector}` : `These use ${connector}: ${ids}`,
    fix: ids === '' ? otherwise : 'Name one of them with --connection ID',
  })
}

function baseUrl(text: string): string {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol))
    throw wrong('send', `--to is an http or https URL, seen ${text}`)
  return url.href.replace(/\/+$/, '').replace(/\/hooks(\/.*)?$/, '')
}

/** As the vendor sends it: it signs the public URL, whatever stands in between. */
async function signedRequest(
  fixture: Fixture,
  connection: Connection,
  publicBase: string,
): Promise<RawRequest> {
  const { method, path, query, headers } = fixture.request
  const { telephony, analysis, crm } = connection.connector
  const side = { telephony: telephony?.webhook, analysis: analysis?.callback, crm: crm?.callback }[
    fixture.role
  ]
  if (!side) throw wrong('send', `${connection.connector.id} receives no ${fixture.role} webhooks`)
  const raw: RawRequest = {
    method,
    url: `${publicBase}/hooks/${connection.id}${path}${query === undefined ? '' : `?${query}`}`,
    path,
    headers: Object.entries(headers),
    body: bodyOf(fixture),
    receivedAt: new Date().toISOString(),
  }
  // A forged one is sent as it is; a proof of ours would make it authentic.
  if ('refused' in fixture.expect || 'handshake' in fixture.expect) return raw
  return signRaw(raw, side.verify(connection.settings), { now: Date.now(), signer: createSigner() })
}

/** One character of the body, or of the URL where there is no body. */
function tampered(request: RawRequest): RawRequest {
  if (request.body.length === 0)
    return { ...request, url: `${request.url}${request.url.includes('?') ? '&' : '?'}t=1` }
  const body = request.body.slice()
  const at = Math.floor(body.length / 2)
  body[at] = (body[at] ?? 0) ^ 1
  return { ...request, body }
}

async function post(request: RawRequest, to: string, publicUrl: string | undefined): Promise<Response> {
  const from = request.url.indexOf('/hooks/')
  const headers = new Headers(
    request.headers instanceof Headers ? request.headers : request.headers.map(([n, v]) => [n, v]),
  )
  // What a proxy in front of us says: the address the vendor called.
  if (publicUrl !== undefined) headers.set('x-forwarded-host', new URL(publicUrl).host)
  headers.delete('content-length')
  const { method } = request
  const body = method === 'GET' || method === 'HEAD' ? {} : { body: new Uint8Array(request.body) }
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    return await fetch(`${to}${request.url.slice(from)}`, {
      method,
      headers,
      ...body,
      signal,
      redirect: 'manual',
    })
  } catch (cause) {
    throw new CordboardError('no_server', `Nothing answers at ${to}`, {
      fix: 'Start it: cordboard serve, or name another server with --to URL',
      cause,
    })
  }
}

/** The problem's own words, when it is one. */
function said(text: string): string {
  try {
    const { detail }: { detail?: unknown } = JSON.parse(text)
    return typeof detail === 'string' ? `: ${detail}` : ''
  } catch {
    return ''
  }
}
