import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Compiles the published package into dist/: JavaScript and declarations, with the files that are read at run time. */
const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const compiler = join(root, 'node_modules', 'typescript7', 'bin', 'tsc')
// The Worker knows Cloudflare's types and not Node's. What both compile is the same; Node's comes last.
for (const project of ['tsconfig.build.worker.json', 'tsconfig.build.json']) {
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, project)], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const copies = ['src/sandbox/recordings', 'src/store/d1-migrations', 'openapi/cordboard.yaml']
for (const vendor of readdirSync(join(root, 'connectors'))) {
  for (const part of ['fixtures', 'pbx', 'README.md']) copies.push(`connectors/${vendor}/${part}`)
}
for (const copy of copies) {
  if (existsSync(join(root, copy))) cpSync(join(root, copy), join(dist, copy), { recursive: true })
}
