import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { CordboardError } from '../errors.ts'
import { parseTokens, type Token } from '../http/auth.ts'

export const ADMIN_TOKEN_FILE = 'admin-token'

export interface OpenTokens {
  tokens: Token[]
  /** The admin token that was just made: to be shown once. */
  created: string | null
}

/**
 * Who may use the API: CORDBOARD_TOKENS (or the file that CORDBOARD_TOKENS_FILE names), else one admin token in the
 * data folder, made at the first start.
 */
export function openTokens(dataDir: string, env: NodeJS.ProcessEnv): OpenTokens {
  const shared = sharedTokens(env)
  if (shared !== null) return { tokens: shared, created: null }
  const known = readAdminToken(dataDir)
  if (known !== null) return { tokens: parseTokens(`admin:${known}`), created: null }
  const token = randomBytes(24).toString('hex')
  const isOurs = writeOnce(dataDir, token)
  // Lost against another process that starts at the same time: its token counts.
  const kept = isOurs ? token : (readAdminToken(dataDir) ?? token)
  return { tokens: parseTokens(`admin:${kept}`), created: isOurs ? token : null }
}

/** The same where several processes share one installation: none of them can make a token that the others know. */
export function sharedTokens(env: NodeJS.ProcessEnv): Token[] | null {
  const file = env.CORDBOARD_TOKENS_FILE || undefined
  const given = file !== undefined && !env.CORDBOARD_TOKENS ? fromFile(file) : env.CORDBOARD_TOKENS
  return given === undefined ? null : parseTokens(given)
}

/** The token of the data folder, for commands on the same machine; null when there is none or it may not be read. */
export function readAdminToken(dataDir: string): string | null {
  try {
    return readFileSync(join(dataDir, ADMIN_TOKEN_FILE), 'utf8').trim() || null
  } catch {
    return null
  }
}

function fromFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CordboardError('config', 'The file that CORDBOARD_TOKENS_FILE names cannot be read', {
      fix: 'Correct CORDBOARD_TOKENS_FILE, or let this process read the file',
      cause: error,
    })
  }
}

/** False when the file exists already. */
function writeOnce(dataDir: string, token: string): boolean {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const file = join(dataDir, ADMIN_TOKEN_FILE)
  let handle: number
  try {
    handle = openSync(file, 'wx', 0o600)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
  try {
    writeSync(handle, `${token}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  // The mode given to open is cut by the umask only; this is for file systems that ignore it there.
  chmodSync(file, 0o600)
  return true
}
