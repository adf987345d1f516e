import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** One of the libraries of this folder, with the few functions that a test uses of it. */
export function load<Library>(name: string): Library {
  try {
    return require(name) as Library
  } catch (cause) {
    throw new Error(`${name} is not installed: run npm run sdks`, { cause })
  }
}
