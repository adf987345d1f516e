import type { z } from 'zod'
import { CordboardError } from '../errors.ts'
import { parseJson } from './json.ts'

/**
 * What a vendor said, as the connector's schema reads it: fields that the schema does not name are left out, and one that
 * is missing or of another form is `invalid_payload` with its path. Values stay out of the message: they may be personal.
 * `what`: "Twilio: the status callback".
 */
export function readAs<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new CordboardError('invalid_payload', `${what} lacks what is documented: ${pathsOf(parsed.error)}`)
}

/** The JSON of a vendor's answer. Throws `invalid_payload` when it is none. */
export async function readJson(response: Response, what: string): Promise<unknown> {
  const bytes = new Uint8Array(await response.arrayBuffer())
  try {
    return parseJson(bytes)
  } catch (cause) {
    throw new CordboardError('invalid_payload', `${what}: the reply is no JSON that can be read`, { cause })
  }
}

/** Both: the answer to a request, as the schema reads it. `what`: "Twilio: list calls". */
export async function readReply<Schema extends z.ZodType>(
  response: Response,
  schema: Schema,
  what: string,
): Promise<z.output<Schema>> {
  return readAs(schema, await readJson(response, what), `${what}: the reply`)
}

const MOST_PATHS = 5

function pathsOf({ issues }: z.ZodError): string {
  const paths = [...new Set(issues.map(({ path }) => path.join('.') || 'the whole'))]
  return paths.slice(0, MOST_PATHS).join(', ')
}
