import { CordboardError } from '../errors.ts'

export type FormTree = { [name: string]: string | FormTree }

const MAX_DEPTH = 8
const MAX_NAME = 256
/** Names that reach an object's prototype when code copies them. */
const UNSAFE = /^(?:__proto__|constructor|prototype)$/

/**
 * A form whose names are nested by brackets, as PHP writes them: `call[history][0][result]=busy` is
 * `{ call: { history: { 0: { result: 'busy' } } } }`. Lists stay objects by index, `[]` counts on, and of a name that is
 * there twice the last one counts, as in PHP. Anybody may have written it: fields with unsafe names are left out, and
 * nesting beyond the bounds throws `invalid_payload`.
 */
export function nestForm(form: URLSearchParams): FormTree {
  const tree: FormTree = {}
  for (const [name, value] of form) {
    const path = pathOf(name)
    if (!path.some((key) => UNSAFE.test(key))) put(tree, path, value)
  }
  return tree
}

/** `a[b][]` → a, b and an empty key; a name whose brackets do not match is a plain one. */
function pathOf(name: string): string[] {
  if (name.length > MAX_NAME) {
    throw new CordboardError('invalid_payload', `A field of the form has a name longer than ${MAX_NAME}`)
  }
  const [, head, brackets = ''] = /^([^[\]]+)((?:\[[^[\]]*\])+)$/.exec(name) ?? []
  if (head === undefined) return [name]
  const path = [head, ...brackets.slice(1, -1).split('][')]
  if (path.length > MAX_DEPTH) {
    throw new CordboardError('invalid_payload', `The form is nested deeper than ${MAX_DEPTH} levels`)
  }
  return path
}

function put(tree: FormTree, path: readonly string[], value: string): void {
  let at = tree
  for (const key of path.slice(0, -1)) {
    const name = key === '' ? nextIndex(at) : key
    const inner = Object.hasOwn(at, name) ? at[name] : undefined
    const next = typeof inner === 'object' ? inner : {}
    at[name] = next
    at = next
  }
  const last = path.at(-1) ?? ''
  at[last === '' && path.length > 1 ? nextIndex(at) : last] = value
}

const nextIndex = (list: FormTree): string => String(Object.keys(list).length)
