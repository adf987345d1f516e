import { encodeHex, utf8 } from '../../../src/connector/encoding.ts'
import type { Signer } from '../../../src/connector/platform.ts'

/**
 * Whether a request carries AWS Signature Version 4, in its header or in its query, written from the S3 API reference
 * (sigv4-auth-using-authorization-header and sigv4-query-string-auth, read 2026-11-27) and not from the signing library.
 */
export interface Account {
  accessKeyId: string
  secretAccessKey: string
}

export type Verdict = 'ok' | 'missing' | 'unknown_key' | 'wrong' | 'expired'

export async function checkSignature(
  request: Request,
  body: Uint8Array,
  { accessKeyId, secretAccessKey }: Account,
  { signer, now }: { signer: Signer; now: number },
): Promise<Verdict> {
  const url = new URL(request.url)
  const given = fromHeader(request) ?? fromQuery(url)
  if (!given) return 'missing'
  const [key, day = '', region = '', service = '', end] = given.credential.split('/')
  if (key !== accessKeyId) return 'unknown_key'
  if (end !== 'aws4_request' || !given.time.startsWith(day) || !given.signed.includes('host')) return 'wrong'
  const at = Date.parse(given.time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  // Expired from either side: X-Amz-Expires of a link, fifteen minutes of a header.
  if (!(now >= at - 900_000 && now <= at + (given.expiresMs ?? 900_000))) return 'expired'

  const query = [...url.searchParams].filter(([name]) => name !== 'X-Amz-Signature')
  const pairs = query.map(([name, value]) => `${encode(name)}=${encode(value)}`).sort()
  const headers = given.signed.map((name) => {
    const value = name === 'host' ? url.host : (request.headers.get(name) ?? '')
    return `${name}:${value.trim().replaceAll(/ +/g, ' ')}\n`
  })
  const hash = async (data: string | Uint8Array) => encodeHex(await signer.digest('sha256', data))
  const payload =
    given.expiresMs === undefined
      ? (request.headers.get('x-amz-content-sha256') ?? (await hash(body)))
      : 'UNSIGNED-PAYLOAD'
  const path = url.pathname.split('/').map((part) => encode(decodeURIComponent(part)))
  const canonical = [
    request.method,
    path.join('/'),
    pairs.join('&'),
    headers.join(''),
    given.signed.join(';'),
    payload,
  ].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', given.time, scope, await hash(canonical)].join('\n')
  let secret = utf8(`AWS4${secretAccessKey}`)
  for (const part of [day, region, service, 'aws4_request'])
    secret = await signer.hmac('sha256', secret, part)
  return encodeHex(await signer.hmac('sha256', secret, text)) === given.signature ? 'ok' : 'wrong'
}

interface Given {
  credential: string
  time: string
  signed: string[]
  signature: string
  expiresMs?: number
}

function fromHeader({ headers }: Request): Given | null {
  const [, credential = '', signed = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=(\S+), *SignedHeaders=(\S+), *Signature=([\da-f]{64})$/.exec(
      headers.get('authorization') ?? '',
    ) ?? []
  return signature
    ? { credential, time: headers.get('x-amz-date') ?? '', signed: signed.split(';'), signature }
    : null
}

function fromQuery({ searchParams }: URL): Given | null {
  const of = (name: string) => searchParams.get(`X-Amz-${name}`) ?? ''
  if (of('Algorithm') !== 'AWS4-HMAC-SHA256') return null
  return {
    credential: of('Credential'),
    time: of('Date'),
    signed: of('SignedHeaders').split(';'),
    signature: of('Signature'),
    expiresMs: Number(of('Expires')) * 1000,
  }
}

/** RFC 3986: what encodeURIComponent leaves, and AWS does not. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
