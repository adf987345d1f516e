import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connectorIds, connectorInfo } from '../../connectors/index.ts'
import { read, root } from './checkout.ts'

/** Rules of the repository that no other tool knows. */

const TEXT = /(?:\.(?:ts|js|json|md|ya?ml|sh|css|html)|\/(?:LICENSE|run)|^LICENSE|\.npmrc|\.gitignore)$/
const files = tracked()
const texts = files.filter((file) => TEXT.test(file) && !file.endsWith('.d.ts'))
const sources = files.filter((file) => /^(?:src|connectors)\/.*\.ts$/.test(file))
const LONGEST = 450

describe('the repository', () => {
  it('names no package registry, no machine and no home folder', () => {
    // Written in pieces, so that this file does not name them either.
    const registries = ['npmjs', 'yarnpkg', 'npmmirror', 'pkg.github'].map((name) => `${name}\\.(?:org|com)`)
    const places = ['home/[a-z]', 'Users/[A-Za-z]', 'root/', 'work/[a-z]', 'private/tmp', 'mnt/'].map(
      (path) => `(?<![\\w.<>}-])/${path}`,
    )
    const pattern = new RegExp([...registries, ...places, '_auth' + 'Token='].join('|'))
    const found = texts.flatMap((file) =>
      read(file)
        .split('\n')
        .flatMap((line, index) =>
          pattern.test(line) ? [`${file}:${index + 1} ${pattern.exec(line)?.[0]}`] : [],
        ),
    )
    expect(found).toEqual([])
  })

  it('has a lock file with hashes and without addresses', () => {
    const {
      packages,
    }: { packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }> } = JSON.parse(
      read('package-lock.json'),
    )
    const entries = Object.entries(packages).filter(([name]) => name !== '')
    expect(entries.length).toBeGreaterThan(50)
    expect(entries.filter(([, { resolved }]) => resolved !== undefined).map(([name]) => name)).toEqual([])
    expect(entries.filter(([, { integrity }]) => integrity === undefined).map(([name]) => name)).toEqual([])
  })

  it('pins every version, and takes no package with an install script', () => {
    const {
      dependencies,
      devDependencies,
      optionalDependencies,
    }: Record<string, Record<string, string>> = JSON.parse(read('package.json'))
    const all = { ...dependencies, ...devDependencies, ...optionalDependencies }
    const loose = Object.entries(all).filter(
      ([, version]) => !/^(?:npm:[\w@/-]+@)?\d+\.\d+\.\d+$/.test(version),
    )
    expect(loose).toEqual([])
    const {
      packages,
    }: { packages: Record<string, { hasInstallScript?: boolean; optional?: boolean; dev?: boolean }> } =
      JSON.parse(read('package-lock.json'))
    const scripted = Object.entries(packages).filter(([, entry]) => entry.hasInstallScript && !entry.optional)
    const of = (isDev: boolean) =>
      scripted.filter(([, { dev = false }]) => dev === isDev).map(([name]) => name)
    // Of jsforce, which does not use them on Node: theirs print a line, and npm runs none that nobody approved.
    expect(of(false)).toEqual(['node_modules/core-js', 'node_modules/core-js-pure'])
    // Of wrangler: theirs only make the start of a binary faster that comes as a platform package.
    expect(of(true)).toEqual(['node_modules/esbuild', 'node_modules/workerd'])
  })

  it('the core names no vendor', () => {
    const vendors = connectorIds
      .filter((id) => id !== 'generic' && id !== 'intake')
      .flatMap((id) => [id, connectorInfo[id].name.toLowerCase()])
    const core = sources.filter((file) =>
      /^src\/(?:pipeline|call|queue|store|media|http|telemetry|config)\//.test(file),
    )
    expect(core.length).toBeGreaterThan(50)
    const named = core.filter((file) => {
      const code = withoutComments(read(file)).toLowerCase()
      return vendors.some((vendor) => code.includes(vendor))
    })
    expect(named).toEqual([])
  })

  it('connectors know the contract, and neither the pipeline nor each other', () => {
    const wrong = sources
      .filter((file) => /^connectors\/[\w-]+\//.test(file))
      .flatMap((file) =>
        [...read(file).matchAll(/from '([^']+)'/g)]
          .map(([, target = '']) => target)
          .filter((target) => {
            if (!target.startsWith('.')) return false
            const reached = join(dirname(file), target)
            const own = file.split('/').slice(0, 2).join('/')
            const isAllowed = /^(?:src\/(?:call|connector)\/|src\/errors\.ts$|openapi\/)/.test(reached)
            return !isAllowed && !reached.startsWith(`${own}/`)
          })
          .map((target) => `${file}: ${target}`),
      )
    expect(wrong).toEqual([])
  })

  it('nothing in the pipeline knows that the sandbox exists', () => {
    const core = sources.filter((file) => /^src\/(?:pipeline|store|queue|http|call)\//.test(file))
    expect(core.filter((file) => /from '[^']*sandbox/.test(read(file)))).toEqual([])
  })

  it(`no file of the program is longer than ${LONGEST} lines, unless it is generated`, () => {
    const long = sources
      .filter((file) => !/generated|do not edit/i.test(read(file).slice(0, 200)))
      .map((file) => [file, read(file).split('\n').length] as const)
      .filter(([, lines]) => lines > LONGEST + 1)
    expect(long).toEqual([])
  })

  it('no file is named after nothing', () => {
    const vague = /^(?:utils?|helpers?|common|misc|shared|lib)(?:\.\w+)?$/i
    const found = files.filter((file) => file.split('/').some((part) => vague.test(part)))
    expect(found).toEqual([])
  })

  it('nothing is left to do, skipped or run alone', () => {
    // A vendor's own word may read like one of these; a comment of ours may not.
    // The words this test looks for.
    const marks = /\b(?:TODO|FIXME|XXX)\b/
    const alone = /\b(?:describe|it|test|suite)(?:\.\w+)*\.(?:skip|only|todo)\b/
    const others = files.filter((file) => file !== 'test/evidence/repository.test.ts')
    const code = others.filter((file) => /\.(?:ts|js)$/.test(file) && !file.endsWith('.d.ts'))
    const words = others.filter((file) => /\.(?:md|sh)$/.test(file))
    expect(code.filter((file) => marks.test(commentsOf(read(file))))).toEqual([])
    expect(words.filter((file) => marks.test(read(file)))).toEqual([])
    expect(code.filter((file) => alone.test(read(file)))).toEqual([])
  })
})

/** What git has; without git all that is not made. */
function tracked(): string[] {
  try {
    const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const present = new Set(walk(''))
    return list.split('\0').filter((file) => present.has(file))
  } catch {
    return walk('')
  }
}

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (/^(?:node_modules|dist|\.git|\.data|\.wrangler)$/.test(basename(path))) return []
    return entry.isDirectory() ? walk(path) : [path]
  })
}

/** Comments may tell what a vendor does; strings and names may not. */
function withoutComments(code: string): string {
  return code.replace(/\/\*.*?\*\//gs, '').replace(/(^|[\s;{(,])\/\/.*$/gm, '$1')
}

function commentsOf(code: string): string {
  return [...code.matchAll(/\/\*.*?\*\/|(?:^|[\s;{(,])\/\/[^\n]*/gs)].join('\n')
}
