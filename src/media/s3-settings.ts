import { CordboardError } from '../errors.ts'

/** Where the media lie, and as whom we come. */
export interface S3Settings {
  /** `https://host[:port][/path]`, without the bucket. */
  endpoint: string
  bucket: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** Of temporary credentials. */
  sessionToken?: string
  /** Before every key; empty, or ends in a slash. Default: none. */
  prefix?: string
  /** The bucket as first part of the path instead of the host name. Default: true. */
  pathStyle?: boolean
}

/** What a server takes that knows no regions. */
const ANY_REGION = 'us-east-1'
const HEADER_SAFE = /^[\x21-\x7e]+$/

/**
 * From S3_ENDPOINT, S3_BUCKET, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_SESSION_TOKEN, S3_PREFIX and
 * S3_PATH_STYLE. Null without S3_BUCKET; throws `config` with everything that is missing or wrong.
 */
export function s3Settings(readRaw: (name: string) => string | undefined): S3Settings | null {
  const read = (name: string) => readRaw(name)?.trim() || undefined
  const bucket = read('S3_BUCKET')
  if (bucket === undefined) return null
  const endpoint = read('S3_ENDPOINT')
  const region = read('S3_REGION') ?? ANY_REGION
  const accessKeyId = read('S3_ACCESS_KEY_ID')
  const secretAccessKey = read('S3_SECRET_ACCESS_KEY')
  const sessionToken = read('S3_SESSION_TOKEN')
  const prefix = prefixOf(read('S3_PREFIX') ?? '')
  const style = read('S3_PATH_STYLE')?.toLowerCase()
  const pathStyle = style === undefined ? usesPath(endpoint, bucket) : ['true', '1', 'yes'].includes(style)

  const wrong: string[] = []
  const expect = (name: string, fine: boolean, expected: string) => {
    if (!fine) wrong.push(`${name}: expected ${expected}`)
  }
  expect(
    'S3_ENDPOINT',
    isEndpoint(endpoint),
    'http(s)://host[:port], such as https://s3.eu-central-1.amazonaws.com',
  )
  expect('S3_BUCKET', isBucket(bucket), '3 to 63 lower-case letters, digits, dots or dashes')
  expect('S3_REGION', /^[\w-]{1,64}$/.test(region), 'letters, digits and dashes, such as eu-central-1')
  expect(
    'S3_ACCESS_KEY_ID',
    accessKeyId !== undefined && HEADER_SAFE.test(accessKeyId),
    'the id of an access key',
  )
  expect('S3_SECRET_ACCESS_KEY', secretAccessKey !== undefined, 'the secret of this access key')
  expect('S3_SESSION_TOKEN', HEADER_SAFE.test(sessionToken ?? '-'), 'a token of one line, or nothing')
  expect(
    'S3_PREFIX',
    prefix !== null,
    'letters, digits, dots, dashes and underscores, in parts divided by slashes',
  )
  expect('S3_PATH_STYLE', style === undefined || /^(true|1|yes|false|0|no)$/.test(style), 'true or false')
  // `bucket.` before an address is no host; the URL class would drop it silently.
  expect(
    'S3_PATH_STYLE',
    pathStyle || !isAddress(endpoint),
    'true, since S3_ENDPOINT is an address and no name',
  )

  if (wrong.length > 0 || !endpoint || !accessKeyId || !secretAccessKey || prefix === null) {
    throw new CordboardError('config', wrong.join('; '), {
      why: 'S3_BUCKET is set, but the media store cannot be reached with the settings around it',
      fix: 'Correct these variables (each may also be read from the file that <name>_FILE names), or unset S3_BUCKET to keep media in the data folder',
    })
  }
  const common = { endpoint, bucket, region, accessKeyId, secretAccessKey, prefix, pathStyle }
  return sessionToken === undefined ? common : { ...common, sessionToken }
}

function isEndpoint(text: string | undefined): boolean {
  const url = text === undefined ? null : URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return false
  // Credentials belong to their own variables: a URL is printed in more places than a secret may be.
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

function isAddress(endpoint: string | undefined): boolean {
  return /^[\d.]+$|^\[/.test(URL.parse(endpoint ?? '')?.hostname ?? '')
}

function isBucket(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..')
}

/** Null for what a URL would take for something else. */
function prefixOf(text: string): string | null {
  const parts = text.replace(/^\/+|\/+$/g, '').split('/')
  if (parts.length === 1 && parts[0] === '') return ''
  if (!parts.every((part) => /^[\w.-]+$/.test(part) && !/^\.{1,2}$/.test(part))) return null
  return `${parts.join('/')}/`
}

/** Amazon wants the bucket in the host name, everybody else takes the path; a dotted name fits no certificate. */
function usesPath(endpoint: string | undefined, bucket: string): boolean {
  const host = URL.parse(endpoint ?? '')?.hostname ?? ''
  return !/\.amazonaws\.com(\.cn)?$/.test(host) || bucket.includes('.')
}
