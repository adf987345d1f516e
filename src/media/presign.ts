import { AwsV4Signer } from 'aws4fetch'
import type { S3Settings } from './s3-settings.ts'

/** The URL of the bucket. */
export function bucketUrl({ endpoint, bucket, pathStyle = true }: S3Settings): URL {
  const url = new URL(endpoint)
  const path = url.pathname.replace(/\/+$/, '')
  if (pathStyle) {
    url.pathname = `${path}/${bucket}`
  } else {
    url.hostname = `${bucket}.${url.hostname}`
    url.pathname = path
  }
  return url
}

/**
 * A URL under which anybody may PUT this one key, and nothing else, for so long. Web standards only: R2 takes it as well,
 * whose own binding can make none.
 */
export async function presignedPut(
  settings: S3Settings,
  key: string,
  lifeMs: number,
  now: () => number = Date.now,
): Promise<{ url: string; headers: Record<string, string> }> {
  const { accessKeyId, secretAccessKey, sessionToken, region } = settings
  const url = bucketUrl(settings)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${key}`
  url.searchParams.set('X-Amz-Expires', String(Math.ceil(lifeMs / 1000)))
  const signer = new AwsV4Signer({
    method: 'PUT',
    url: url.href,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service: 's3',
    region,
    datetime: new Date(now()).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    signQuery: true,
  })
  const signed = await signer.sign()
  return { url: signed.url.href, headers: {} }
}
