import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout these tests look at, with a slash at its end. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** A folder outside the checkout, removed when it is disposed. */
export function emptyFolder(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'cordboard-evidence-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

export interface Ran {
  code: number
  out: string
  err: string
}

/** Runs a program; npm finds the Node that runs this test, and nothing of an npm that started it. */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  more: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  const env: NodeJS.ProcessEnv = { NO_COLOR: '1' }
  for (const [name, value] of Object.entries(process.env)) {
    if (
      !/^(?:npm_(?:package|lifecycle|command|node|config_local)|INIT_CWD|CORDBOARD_|FORCE_COLOR)/.test(name)
    )
      env[name] = value
  }
  env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`
  const options = { cwd, env: { ...env, ...more }, timeout: 170_000, maxBuffer: 64 * 1024 * 1024 }
  return new Promise((resolve) => {
    execFile(command, [...args], options, (error, out, err) => {
      const code = typeof error?.code === 'number' ? error.code : error ? 1 : 0
      resolve({ code, out, err })
    })
  })
}
