import { execFile } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Where the programs of a server lie, and what they need in their environment. */
export interface Binaries {
  /** Program name → absolute path. */
  paths: Readonly<Record<string, string>>
  env: NodeJS.ProcessEnv
}

export interface Wanted {
  /** How people call it. */
  name: string
  /** All of one group lie in one folder; the first group found is taken. */
  programs: readonly (readonly string[])[]
  /** The Debian package that brings them. */
  debian: string
  /** Of the environment: the address of a server that may be used instead; null where there is none. */
  variable: string | null
}

export const POSTGRES: Wanted = {
  name: 'PostgreSQL',
  programs: [['initdb', 'postgres']],
  debian: 'postgresql',
  variable: 'DATABASE_URL',
}
export const REDIS: Wanted = {
  name: 'Redis or Valkey',
  programs: [['redis-server'], ['valkey-server']],
  debian: 'redis-server',
  variable: 'REDIS_URL',
}

export const FFMPEG: Wanted = {
  name: 'ffmpeg',
  programs: [['ffmpeg']],
  debian: 'ffmpeg',
  variable: null,
}

/** What is looked at; a test of the search gives its own. */
export interface Places {
  path: string
  /** `/`, below which Debian and Homebrew keep what is not in the PATH. */
  root: string
  cache: string
  /** Absolute path of apt-get, or null elsewhere than on Debian. */
  apt: string | null
}

export function places(): Places {
  const isRoot = process.getuid?.() === 0
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`
  return {
    path,
    root: '/',
    // Of root's home another user, as whom PostgreSQL runs, sees nothing.
    cache: isRoot ? '/var/cache/cordboard-tests' : join(homedir(), '.cache', 'cordboard-tests'),
    apt: existsSync('/etc/debian_version') ? inFolders(path.split(delimiter), ['apt-get']) : null,
  }
}

/** Finds the programs, where need be fetched as a Debian package. Throws one sentence that says what is missing. */
export async function binaries(wanted: Wanted, at: Places = places()): Promise<Binaries> {
  const here = installed(wanted, at)
  if (here) return here
  const folder = join(at.cache, wanted.debian)
  const kept = unpacked(wanted, folder)
  if (kept) return kept
  const instead = wanted.variable === null ? '' : `, or set ${wanted.variable} to a server that tests may use`
  const programs = wanted.programs.map(([first]) => first).join(' or ')
  const missing = `${wanted.name} is missing: install ${programs}${instead}`
  if (at.apt === null) throw new Error(missing)
  try {
    await fetchDebian(at.apt, wanted.debian, folder)
  } catch (cause) {
    throw new Error(`${missing}; the Debian package ${wanted.debian} could not be fetched`, { cause })
  }
  const fetched = unpacked(wanted, folder)
  if (!fetched) throw new Error(`${missing}; the Debian package ${wanted.debian} does not hold it`)
  return fetched
}

/** In the PATH, or where Debian and Homebrew keep several versions side by side. */
export function installed(wanted: Wanted, at: Places): Binaries | null {
  return search(wanted, [...at.path.split(delimiter), ...versioned(at.root)], {})
}

function unpacked(wanted: Wanted, folder: string): Binaries | null {
  // Some lie one folder deeper, where only the path of an installed system leads.
  const libraries = ['usr/lib', 'lib']
    .flatMap((lib) => [join(folder, lib), ...below(join(folder, lib), /-linux-/)])
    .flatMap((lib) => [lib, ...below(lib, /./).filter((inner) => holdsLibraries(inner))])
    .join(':')
  return search(wanted, [join(folder, 'usr/bin'), ...versioned(folder)], { LD_LIBRARY_PATH: libraries })
}

function holdsLibraries(folder: string): boolean {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return false
  return readdirSync(folder).some((name) => /\.so(\.|$)/.test(name))
}

function versioned(root: string): string[] {
  return [
    ...below(join(root, 'usr/lib/postgresql'), /^\d/),
    ...below(join(root, 'opt/homebrew/opt'), /^postgresql/),
  ].map((folder) => join(folder, 'bin'))
}

/** Newest version first. */
function below(folder: string, name: RegExp): string[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((entry) => name.test(entry))
  return names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true })).map((entry) => join(folder, entry))
}

function search(wanted: Wanted, folders: readonly string[], env: NodeJS.ProcessEnv): Binaries | null {
  for (const group of wanted.programs) {
    const first = inFolders(folders, group)
    if (!first) continue
    const folder = dirname(first)
    return { paths: Object.fromEntries(group.map((program) => [program, join(folder, program)])), env }
  }
  return null
}

/** The path of the first program, in the first folder that holds all of them. */
function inFolders(folders: readonly string[], programs: readonly string[]): string | null {
  const folder = folders.find(
    (candidate) => candidate && programs.every((program) => isProgram(join(candidate, program))),
  )
  return folder === undefined ? null : join(folder, programs[0] ?? '')
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Unpacks the package and what it needs beyond this system into a folder: nothing is installed, no service starts, and
 * no rights are needed. Two at once do the work twice; the first rename counts.
 */
async function fetchDebian(apt: string, name: string, folder: string): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 })
  const work = mkdtempSync(`${folder}-`)
  try {
    const own = await options(apt, name, work)
    await execute(apt, [...own, 'download', ...(await needed(apt, name, own))], { cwd: work })
    const tree = join(work, 'tree')
    mkdirSync(tree, { mode: 0o755 })
    for (const file of readdirSync(work).filter((entry) => entry.endsWith('.deb'))) {
      await execute('dpkg', ['-x', join(work, file), tree])
    }
    if (!existsSync(folder)) renameSync(tree, folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** None where the system knows the package; else lists of packages in the work folder, which need no rights. */
async function options(apt: string, name: string, work: string): Promise<string[]> {
  const none: string[] = []
  try {
    await needed(apt, name, none)
    return none
  } catch {
    mkdirSync(join(work, 'lists/partial'), { recursive: true })
    mkdirSync(join(work, 'archives/partial'), { recursive: true })
    const own = [`Dir::State::lists=${work}/lists`, `Dir::Cache=${work}`, 'Debug::NoLocking=1']
    const flags = own.flatMap((option) => ['-o', option])
    await execute(apt, [...flags, 'update'])
    return flags
  }
}

async function needed(apt: string, name: string, own: readonly string[]): Promise<string[]> {
  const args = [...own, 'install', '--simulate', '-y', '--no-install-recommends', name]
  const { stdout } = await execute(apt, args, { env: { ...process.env, LC_ALL: 'C' } })
  const names = [...stdout.matchAll(/^Inst (\S+)/gm)].flatMap(([, found]) => found ?? [])
  if (names.length === 0) throw new Error(`apt-get would install nothing for ${name}`)
  return names
}
