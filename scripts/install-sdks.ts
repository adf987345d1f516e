import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Installs the vendors' own libraries that the tests of test/evidence/sdk hold ours against, exactly as their lock file says and
 * without install scripts; nothing when they are there already.
 */

const FOLDER = new URL('../test/evidence/sdk/', import.meta.url)
const MARK = new URL('node_modules/.installed', FOLDER)

const wanted = createHash('sha256')
  .update(readFileSync(new URL('package-lock.json', FOLDER)))
  .digest('hex')
const present = existsSync(MARK) ? readFileSync(MARK, 'utf8') : null
if (present !== wanted) {
  const words = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  // On Windows npm is a batch file, which only a shell starts; no word of it comes from outside.
  const options = {
    cwd: fileURLToPath(FOLDER),
    stdio: 'inherit',
    shell: process.platform === 'win32',
  } as const
  const { status } = spawnSync('npm', words, options)
  if (status === 0) writeFileSync(MARK, wanted)
  else process.exitCode = 1
}
