import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Package {
  folder: string
  version: string
}

let found: Package | undefined

/** Our own package: two folders above this file in a checkout, three once it is compiled. */
export function ownPackage(): Package {
  if (found) return found
  let folder = dirname(fileURLToPath(import.meta.url))
  for (let up = 0; up < 5; up++) {
    folder = dirname(folder)
    const file = join(folder, 'package.json')
    if (!existsSync(file)) continue
    const content: { name?: string; version?: string } = JSON.parse(readFileSync(file, 'utf8'))
    if (content.name === 'cordboard') {
      found = { folder, version: content.version ?? 'unknown' }
      return found
    }
  }
  found = { folder: dirname(fileURLToPath(import.meta.url)), version: 'unknown' }
  return found
}
