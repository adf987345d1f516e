import type { ConnectorContext } from '../../../src/connector/contract.ts'
import type { WritePart } from '../../../src/connector/crm-role.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import { multipart } from '../../../src/connector/multipart.ts'
import { type Config, file } from '../schema.ts'
import { credentials, exchange, read, segment } from './requests.ts'

/**
 * The transcript as a private file of the account's own. Its name is that of the part, so that sent again after an end that
 * nobody saw it takes the place of the first (`overwrite`); a new text is put into the same file, whose id the note holds.
 * https://developers.hubspot.com/docs/api-reference/2026-03/files/guide (read 2026-11-27)
 */
export async function saveFile(part: WritePart, ctx: ConnectorContext<Config>): Promise<string> {
  const { baseUrl, apiVersion, note } = ctx.config
  const path = `${baseUrl}/files/${apiVersion}/files`
  const bytes = utf8(part.fields.text ?? '')
  const name = `${part.idempotencyKey.replace(/[^\w-]/g, '_')}.txt`
  const isNew = part.externalId === null
  const fields: Record<string, string> = {
    charsetHunch: 'UTF-8',
    options: JSON.stringify({ access: 'PRIVATE', ...(isNew ? { overwrite: true } : {}) }),
    ...(isNew ? { fileName: name, folderPath: note.folder } : {}),
  }
  const random = Array.from({ length: 3 }, () => ctx.random().toString(36).slice(2))
  const form = multipart(
    fields,
    {
      name: 'file',
      fileName: name,
      contentType: 'text/plain',
      body: new Blob([new Uint8Array(bytes)]).stream(),
      bytes: bytes.length,
    },
    `cordboard-${random.join('')}`,
  )
  const { text } = await exchange(ctx, isNew ? path : `${path}/${segment(part.externalId ?? '')}`, {
    method: isNew ? 'POST' : 'PUT',
    headers: {
      ...credentials(ctx.config),
      'content-type': form.contentType,
      'content-length': String(form.contentLength),
    },
    body: form.body,
  })
  return read(file, JSON.parse(text)).id
}
