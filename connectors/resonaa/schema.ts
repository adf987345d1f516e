import { z } from 'zod'
import { secretValue } from '../../src/connector/secret.ts'

/** "Max file size: 500MB"; an older edition of the page says 100 (both read 2026-11-20). */
const SAFE_BYTES = 100_000_000

/** The connection's keys. */
export const config = z.object({
  baseUrl: z.url().describe('address of the API; the pages show a placeholder, so ask Resonaa for yours'),
  apiKey: secretValue.describe('API key of the company'),
  submitBy: z
    .enum(['file', 'url', 'form-url'])
    .default('file')
    .describe('file: upload the audio; url and form-url: Resonaa downloads it by a link of the phone system'),
  sendFields: z
    .array(z.enum(['customer_name', 'extension_id', 'user_id']))
    .default(['customer_name', 'extension_id', 'user_id'])
    .describe('what Resonaa is told of a call beside its audio'),
  userIds: z
    .record(z.string().min(1).max(64), z.string().min(1).max(128))
    .default({})
    .describe('the agent’s extension and the UUID of the same person at Resonaa'),
  maxBytes: z
    .int()
    .positive()
    .max(500_000_000)
    .default(SAFE_BYTES)
    .describe('largest recording that is uploaded; one page says 500 MB, an older one 100'),
})

export type Config = z.output<typeof config>

/** What a 2xx says. Documented for add-calls alone, so nothing of it is insisted on. */
export const taken = z.object({
  success: z.boolean().nullish().catch(null),
  call_id: z.string().min(1).max(512).nullish().catch(null),
  message: z.string().nullish().catch(null),
})
