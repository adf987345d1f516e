import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { suggest } from '../config/suggest.ts'
import { CordboardError } from '../errors.ts'

/** What is read of a fixture's file: the request. What it means is the kit's business. */
const fixtureFile = z.object({
  role: z.enum(['telephony', 'analysis', 'crm']),
  request: z.object({
    method: z.string(),
    path: z.string().default(''),
    query: z.string().optional(),
    headers: z.record(z.string(), z.string()),
    body: z.string().optional(),
    bodyBase64: z.string().optional(),
  }),
  expect: z.record(z.string(), z.unknown()).default({}),
})

export type Fixture = z.output<typeof fixtureFile>

/** By its name in the connector's folder, or by the path of a file. */
export function readFixture(connector: string, name: string, cwd: string): Fixture {
  // Beside the code in a checkout, and beside the compiled code in the published package.
  const folder = fileURLToPath(new URL(`../../connectors/${connector}/fixtures`, import.meta.url))
  const candidates = [join(folder, `${name}.json`), join(folder, name), resolve(cwd, name)]
  const file = candidates.find((candidate) => candidate.endsWith('.json') && existsSync(candidate))
  if (file === undefined) throw unknownFixture(connector, name, folder)
  try {
    return fixtureFile.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    throw new CordboardError('bad_request', `${file} is no fixture`, {
      why: error instanceof z.ZodError ? z.prettifyError(error) : String(error),
      fix: 'Compare it with those in connectors/generic/fixtures',
    })
  }
}

function unknownFixture(connector: string, name: string, folder: string): CordboardError {
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith('.json') && file !== 'connection.json')
        .map((file) => file.slice(0, -'.json'.length))
    : []
  const meant = suggest(name, names)
  return new CordboardError('bad_request', `${connector} has no fixture ${name}`, {
    ...(names.length === 0 ? {} : { why: `It has: ${names.join(', ')}` }),
    fix: meant
      ? `Did you mean: cordboard send ${connector} ${meant}`
      : 'Use one of them, or the path of a file',
  })
}

export function bodyOf({ request: { body, bodyBase64 } }: Fixture): Uint8Array {
  return new Uint8Array(
    bodyBase64 === undefined ? Buffer.from(body ?? '') : Buffer.from(bodyBase64, 'base64'),
  )
}
