/**
 * Types of the vendors' APIs: openapi/generated/<vendor>.d.ts from openapi/<vendor>.yaml. With `--check` nothing is written, and
 * the exit code is 1 when a file differs from what would be written. cordboard.yaml is our own API, not a vendor's.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import openapiTS, { astToString } from 'openapi-typescript'

const folder = new URL('../openapi/', import.meta.url)
const generated = new URL('generated/', folder)
const isCheck = process.argv.includes('--check')
const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml') && name !== 'cordboard.yaml')

let differs = 0
for (const name of names.sort()) {
  const source = new URL(name, folder)
  const target = new URL(name.replace(/\.yaml$/, '.d.ts'), generated)
  const header = `// Generated from ${name} by scripts/generate-vendor-types.ts. Do not edit.\n\n`
  // A default is the vendor's business: it does not make a field of a request required.
  const types = await openapiTS(source, { alphabetize: true, defaultNonNullable: false })
  const wanted = header + astToString(types)
  const found = await readFile(target, 'utf8').catch(() => '')
  if (found === wanted) continue
  differs++
  if (!isCheck) await writeFile(target, wanted)
  console.log(`${isCheck ? 'differs from' : 'written from'} ${name}: ${target.pathname.split('/').at(-1)}`)
}
if (differs === 0) console.log(`${names.length} files of vendor types are up to date`)
if (isCheck && differs > 0) {
  console.log('run: node scripts/generate-vendor-types.ts')
  process.exitCode = 1
}
