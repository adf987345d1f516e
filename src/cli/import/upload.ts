import { CordboardError } from '../../errors.ts'
import type { Batch } from '../answers.ts'
import { putFile } from '../put-file.ts'
import type { Target } from '../target.ts'
import type { File, Part } from './parts.ts'

/** Begins the batch of a part, or finds it; uploads what it waits for, and has it worked on. */
export async function handIn(
  target: Target,
  part: Part,
  connection: string | undefined,
  { signal, sent }: { signal: AbortSignal; sent: (bytes: number) => void },
): Promise<Batch> {
  const query = connection === undefined ? '' : `?${new URLSearchParams({ connection })}`
  const begun: Batch = await target.post(
    `/v1/batches${query}`,
    { archive: part.zip !== null },
    { 'idempotency-key': part.key },
  )
  for (const { part: name, url, headers, direct } of begun.uploads ?? []) {
    const file = part[name]
    if (!file) continue
    if (url === direct || !(await presigned(url, headers, file, { signal, sent })))
      await target.put(direct, { bytes: file.bytes, body: counted(await file.open(), sent) }, signal)
  }
  return target.post(`/v1/batches/${begun.id}/start`, {})
}

/** False where the media store cannot be reached from here: it may stand in the server's own network. */
async function presigned(
  url: string,
  headers: Record<string, string>,
  file: File,
  { signal, sent }: { signal: AbortSignal; sent: (bytes: number) => void },
): Promise<boolean> {
  let counts = 0
  const body = counted(await file.open(), (bytes) => {
    counts += bytes
    sent(bytes)
  })
  const response = await putFile({ url, headers, bytes: file.bytes, body, signal }).catch(
    (error: unknown) => {
      signal.throwIfAborted()
      if (error instanceof CordboardError) return null
      throw error
    },
  )
  if (response?.ok) return true
  sent(-counts)
  return false
}

function counted(
  body: ReadableStream<Uint8Array>,
  sent: (bytes: number) => void,
): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        sent(chunk.byteLength)
        controller.enqueue(chunk)
      },
    }),
  )
}
