import { z } from 'zod'
import { operationFor } from '../../../src/connector/contract.ts'
import type { Config } from '../schema.ts'

/** The vendor has one page; its sections have no addresses of their own that are known. */
export const docs = 'https://docs.transcripto.eu'

export const operation = operationFor<Config>()

/** Public code of a task. */
export const code = z.uuid().describe('code of the task')
export const id = (what: string) => z.coerce.number().int().positive().describe(what)
export const text = (what: string, most = 5000) => z.string().trim().min(1).max(most).describe(what)
export const page = {
  page: z.coerce.number().int().positive().default(1).describe('page, from 1'),
  perPage: z.coerce.number().int().positive().default(20).describe('entries of a page'),
}

/** Without what was not given: the vendor may take null for a value. */
export function given<Fields extends Record<string, unknown>>(fields: Fields): Given<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Given<Fields>
}
type Given<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> }
