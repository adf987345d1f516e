import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Dockerfile,
  DockerfileParser,
  type From,
  type Instruction,
  type ModifiableInstruction,
} from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'

/**
 * Checks the Dockerfile where no container engine runs: lints it, then does its steps in a clean folder, each stage in a
 * folder of its own that stands for the root of its file system. What comes out is started, asked for its health as the
 * HEALTHCHECK asks, and stopped. Run: `node scripts/check-dockerfile.ts`
 */

const root = fileURLToPath(new URL('..', import.meta.url))

// ── What is read ────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the linter finds, one line each. */
export function lint(text: string): string[] {
  return validate(text).map(({ range, message }) => `Dockerfile:${range.start.line + 1} ${message}`)
}

export interface Stage {
  name: string
  base: string
  steps: { keyword: string; args: string; flags: Record<string, string> }[]
}

export function stagesOf(text: string): Stage[] {
  const file: Dockerfile = DockerfileParser.parse(text)
  const stages: Stage[] = []
  for (const instruction of file.getInstructions()) {
    const keyword = instruction.getKeyword()
    if (keyword === 'FROM') {
      const from = instruction as From
      stages.push({
        name: from.getBuildStage() ?? String(stages.length),
        base: from.getImage() ?? '',
        steps: [],
      })
    } else {
      stages.at(-1)?.steps.push({ keyword, ...partsOf(instruction) })
    }
  }
  return stages
}

/** Continued lines are joined, and comments between them left out, as the builder does. */
function partsOf(instruction: Instruction): Pick<Stage['steps'][number], 'args' | 'flags'> {
  const text = (instruction.getRawArgumentsContent() ?? '')
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
  const flags = 'getFlags' in instruction ? (instruction as ModifiableInstruction).getFlags() : []
  return {
    args: text.trim(),
    flags: Object.fromEntries(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
  }
}

/** The last of its kind counts. */
export function last(stage: Stage | undefined, keyword: string): string | undefined {
  return stage?.steps.findLast((step) => step.keyword === keyword)?.args
}

/** Says whether a path of the context is kept out. The last line that fits decides; what fits a folder fits all in it. */
export function ignores(text: string): (path: string) => boolean {
  const lines = text.split('\n').map((line) => line.trim())
  const rules = lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ isKept: line.startsWith('!'), pattern: globOf(line.replace(/^!/, '')) }))
  return (path) => {
    const parts = path.split('/')
    const heads = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    const rule = rules.findLast(({ pattern }) => heads.some((head) => pattern.test(head)))
    return rule !== undefined && !rule.isKept
  }
}

/** As the builder reads it: a star stands for names that begin with a dot too. */
function globOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(
      /\*\*\/|\*\*|\*|\?/g,
      (sign) => ({ '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*' })[sign] ?? '[^/]',
    )
  return new RegExp(`^${source}$`)
}

// ── What is done ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Built {
  /** The folder that stands for the root of the last stage. */
  root: string
  stage: Stage
  workdir: string
  env: Record<string, string>
}

/** Does the steps of all stages below `folder`. */
export function replay(text: string, context: string, folder: string, say: (line: string) => void): Built {
  const isOut = ignores(readFileSync(join(context, '.dockerignore'), 'utf8'))
  const stages = stagesOf(text)
  const built = new Map<string, Built>()
  for (const stage of stages) {
    const parent = built.get(stage.base)
    const here: Built = {
      root: join(folder, stage.name),
      stage,
      workdir: parent?.workdir ?? '/',
      env: { ...parent?.env },
    }
    mkdirSync(here.root, { mode: 0o755 })
    if (parent) cpSync(parent.root, here.root, { recursive: true, verbatimSymlinks: true })
    for (const { keyword, args, flags } of stage.steps) {
      say(`${stage.name}: ${keyword} ${args.replace(/\s+/g, ' ')}`)
      if (keyword === 'WORKDIR') {
        here.workdir = posix.resolve(here.workdir, args)
        mkdirSync(inside(here, '.'), { recursive: true, mode: 0o755 })
      } else if (keyword === 'ENV') {
        for (const [, name = '', value = ''] of args.matchAll(/(\w+)=(\S+)/g)) here.env[name] = value
      } else if (keyword === 'COPY') {
        const words = args.split(/\s+/)
        const from = flags.from === undefined ? null : (built.get(flags.from)?.root ?? null)
        if (flags.from !== undefined && from === null) throw new Error(`no stage is called ${flags.from}`)
        copy({ here, words, source: from ?? context, isOut: from === null ? isOut : () => false })
      } else if (keyword === 'RUN') {
        runStep(here, args, topFolders(stages))
      }
    }
    built.set(stage.name, here)
  }
  const end = built.get(stages.at(-1)?.name ?? '')
  if (!end) throw new Error('The Dockerfile has no stage')
  return end
}

const inside = (here: Built, path: string) => join(here.root, posix.resolve(here.workdir, path))

interface Copy {
  here: Built
  words: readonly string[]
  source: string
  isOut: (path: string) => boolean
}

function copy({ here, words, source, isOut }: Copy): void {
  const target = words.at(-1) ?? '.'
  for (const word of words.slice(0, -1)) {
    const from = join(source, word)
    const isFolder = lstatSync(from).isDirectory()
    const to =
      isFolder || !/(?:^\.|\/)$/.test(target)
        ? inside(here, target)
        : inside(here, join(target, basename(word)))
    mkdirSync(isFolder ? to : dirname(to), { recursive: true })
    const paths = isFolder ? below(from) : ['']
    for (const path of paths) {
      const name = posix.join(word, path)
      if (isOut(name)) continue
      const file = join(from, path)
      if (lstatSync(file).isDirectory()) mkdirSync(join(to, path), { recursive: true })
      else if (lstatSync(file).isSymbolicLink()) symlinkSync(readlinkSync(file), join(to, path))
      else cpSync(file, join(to, path))
    }
  }
}

/** All paths below a folder, folders before what is in them; a checkout's own node_modules and git are never asked for. */
function below(folder: string, under = ''): string[] {
  return readdirSync(join(folder, under), { withFileTypes: true })
    .filter(({ name }) => under !== '' || (name !== '.git' && !(name === 'node_modules' && folder === root)))
    .flatMap((entry) => {
      const path = posix.join(under, entry.name)
      return entry.isDirectory() ? [path, ...below(folder, path)] : [path]
    })
}

/** First parts of the image's own paths: in a command they mean the stage's folder, all others this machine's. */
function topFolders(stages: readonly Stage[]): string[] {
  const texts = stages.flatMap(({ steps }) =>
    steps.filter(({ keyword }) => /^(?:WORKDIR|COPY|ENV)$/.test(keyword)).map(({ args }) => args),
  )
  return [
    ...new Set(
      texts.flatMap((text) => [...text.matchAll(/(?<=[\s=]|^)\/(\w+)/g)].map(([, top = '']) => top)),
    ),
  ]
}

function runStep(here: Built, script: string, tops: readonly string[]): void {
  const own = new RegExp(`(?<![\\w./-])/(?=(?:${tops.join('|')})\\b)`, 'g')
  // Who is not root cannot give files away; there the owner stays as it is.
  const chown = process.getuid?.() === 0 ? '' : 'chown() { :; }\n'
  const { status, stdout, stderr } = spawnSync('sh', ['-euc', chown + script.replace(own, `${here.root}/`)], {
    cwd: inside(here, '.'),
    env: environment(here.env),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) {
    throw new Error(`RUN ${script} ended with ${status}:\n${(stdout + stderr).trim().slice(-2000)}`)
  }
}

/** The Node that runs this; nothing of an npm that started it, and no secret of this machine's environment. */
function environment(more: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?:package|lifecycle|command|node)|^CORDBOARD_|_URL$/.test(name),
  )
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`
  return { ...Object.fromEntries(kept), ...more, PATH: path, npm_config_prefer_offline: 'true' }
}

// ── What came out ───────────────────────────────────────────────────────────────────────────────────────────────────

/** What must not be in the last stage. */
export function strangers(built: Built): string[] {
  const { packages }: { packages: Record<string, { dev?: boolean; devOptional?: boolean }> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  )
  const modules = join(built.root, 'app')
  const development = Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev && existsSync(join(modules, path)))
    .map(([path]) => path)
  const files = below(built.root).filter(
    (path) =>
      // What packages bring along is public.
      !path.includes('node_modules/') &&
      (/(?:^|\/)(?:\.env(?:\..+)?|\.npmrc|\.npm|_cacache|admin-token)$|\.(?:pem|db)$/.test(path) ||
        /(?<!\.d)\.tsx?$/.test(path)),
  )
  return [...development, ...files]
}

/**
 * Starts it, asks as HEALTHCHECK does, stops it. Answers what is wrong. As its own user only root can start it, and only when
 * all its files lie where that user may look.
 */
export async function tryOut(built: Built, { isUser }: { isUser: boolean }): Promise<string[]> {
  const { stage } = built
  const wrong: string[] = []
  const mapped = (text: string) => text.replace(/^\/(?=app|data|config)/, `${built.root}/`)
  const words = (keyword: string) => (JSON.parse(last(stage, keyword) ?? '[]') as string[]).map(mapped)
  const env = Object.fromEntries(Object.entries(built.env).map(([name, value]) => [name, mapped(value)]))
  const [uid = 0, gid = 0] = (last(stage, 'USER') ?? '').split(':').map(Number)
  const who = isUser ? { uid, gid } : {}
  writeFileSync(join(built.root, 'config/cordboard.config.json'), '{ "connections": {}, "flows": [] }\n')
  const before = below(built.root).filter((path) => !path.startsWith('data/'))

  const command = [...words('ENTRYPOINT'), ...words('CMD'), '--port', '0']
    // Nothing of a test listens beyond this machine.
    .map((word) => (word === '0.0.0.0' ? '127.0.0.1' : word))
  const started = spawn(command[0] ?? '', command.slice(1), {
    cwd: join(built.root, built.workdir),
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...who,
  })
  const said: string[] = []
  started.stderr.on('data', (data) => said.push(String(data)))
  const ended = new Promise<number | null>((resolve) => started.once('exit', resolve))
  const url = await new Promise<string | null>((resolve) => {
    started.stdout.on('data', (data) => resolve(/http:\/\/\S+/.exec(String(data))?.[0] ?? null))
    started.once('exit', () => resolve(null))
  })
  if (url === null) return [`it does not start: ${said.join('').slice(-1000)}`]

  const check = (last(stage, 'HEALTHCHECK') ?? '').replace(/^.*?CMD\s+/s, '')
  const probe = (JSON.parse(check) as string[]).map((word) => word.replace('http://127.0.0.1:8080', url))
  const ask = () => spawnSync(probe[0] ?? '', probe.slice(1), { env: environment(env), ...who }).status
  // The probe blocks this process, not the one it asks.
  if (ask() !== 0) wrong.push('HEALTHCHECK fails while it runs')
  started.kill('SIGTERM')
  const code = await ended
  if (code !== 0) wrong.push(`it ends with ${code} on SIGTERM: ${said.join('').slice(-1000)}`)
  if (ask() === 0) wrong.push('HEALTHCHECK succeeds when nothing runs')
  const after = below(built.root).filter((path) => !path.startsWith('data/'))
  const written = after.filter((path) => !before.includes(path))
  if (written.length > 0) wrong.push(`it writes outside of /data: ${written.slice(0, 5).join(', ')}`)
  return wrong
}

if (import.meta.main) {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8')
  const found = lint(text)
  const folder = mkdtempSync(join(tmpdir(), 'cordboard-image-'))
  // The image's user passes through it.
  chmodSync(folder, 0o755)
  try {
    const built = replay(text, root, folder, (line) => console.log(line))
    found.push(
      ...strangers(built).map((path) => `${path} is in the last stage`),
      ...(await tryOut(built, { isUser: process.getuid?.() === 0 })),
    )
    console.log(`${below(built.root).length} paths in the last stage`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  for (const line of found) console.error(line)
  console.log(found.length === 0 ? 'ok' : `${found.length} problems`)
  process.exitCode = found.length === 0 ? 0 : 1
}
