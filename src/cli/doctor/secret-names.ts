import type { Connection } from '../../config/model.ts'
import { at } from '../../config/problem.ts'
import type { Configured } from '../configured.ts'

/** `authToken (env TWILIO_TOKEN)`: the connection's secrets, all or those that have one of these values. */
export function secretNames(
  { secrets, originOf }: Configured,
  { id, settings }: Connection,
  values?: readonly string[],
): string {
  const prefix = `connections.${id}.`
  const own = secrets.filter(({ path }) => path.startsWith(prefix))
  const fitting = own.filter(({ path }) => {
    if (values === undefined) return true
    const value = at(settings, path.slice(prefix.length).split('.'))
    return [value].flat().some((one) => typeof one === 'string' && values.includes(one))
  })
  const named = (fitting.length > 0 ? fitting : own).map(({ path, names }) => {
    const [first = ''] = names
    return `${path.slice(prefix.length)} (${originOf(first) ?? first})`
  })
  return named.length === 0 ? 'its secret' : named.join(', ')
}
