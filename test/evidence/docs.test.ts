import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connectorIds, connectorInfo, loadConnector } from '../../connectors/index.ts'
import type { Command } from '../../src/cli/command.ts'
import { globalOptions } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { exitCode } from '../../src/cli/exit.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { read, root } from './checkout.ts'
import { CONNECTOR_PAGES, codeOf, PAGES, rowsOf, sectionOf } from './pages.ts'

/** What the pages say is compared with what is there; what they tell people to type is typed in docs-run.test.ts. */

describe('the pages', () => {
  it.each([...PAGES, ...CONNECTOR_PAGES])('every link of %s leads somewhere', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(
      ([, target = '']) => target,
    )
    const broken = links.filter((link) => {
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, file))) return true
      return anchor !== undefined && !anchorsOf(file).includes(anchor)
    })
    expect(broken).toEqual([])
  })

  it.each(PAGES)('every path that %s names exists', (page) => {
    const named = codeOf(page).flatMap((text) =>
      [
        ...text.matchAll(
          /(?<![\w./-])(?:src|connectors|test|scripts|docs|bin|openapi|types)\/[\w./*{}<>,-]*/g,
        ),
      ].map(([path]) => path.replace(/[.,]$/, '')),
    )
    const missing = named.filter(
      (path) => !/[*{}<>]/.test(path) && !isMade(path) && !existsSync(join(root, path)),
    )
    expect(missing).toEqual([])
  })

  it.each(PAGES)('every command and option that %s names is there', async (page) => {
    const wrong: string[] = []
    for (const text of codeOf(page)) {
      for (const [line, name = ''] of text.matchAll(/\bcordboard ([a-z]+)\b[^|;&#)]*/g)) {
        if (name === 'help') {
          const topic = /help ([a-z_]+)/.exec(line)?.[1]
          if (topic && !(topic in ERRORS) && !(topic in commands)) wrong.push(line)
          continue
        }
        const command = await load(name)
        const options = { ...command?.options, ...globalOptions }
        // Options of its own are those of some connector: they are tried in backend.test.ts.
        if (command?.takesMore) continue
        const unknown = [...line.matchAll(/ --([a-z][a-z-]*)/g)].filter(
          ([, option = '']) => !(option in options),
        )
        if (!command || unknown.length > 0) wrong.push(line)
      }
    }
    expect(wrong).toEqual([])
  })

  it('the scripts of package.json that they name are there', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'))
    const named = PAGES.flatMap((page) => codeOf(page)).flatMap((text) =>
      [...text.matchAll(/npm run ([\w-]+)/g)].map(([, script = '']) => script),
    )
    expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([])
  })
})

describe('README', () => {
  it('lists every command, and no other', () => {
    const listed = rowsOf(sectionOf(read('README.md'), 'Command line')).map(([cell = '']) =>
      cell.replace(/`|cordboard /g, ''),
    )
    expect(listed.filter((cell) => cell !== 'command').sort()).toEqual(Object.keys(commands).sort())
  })

  it('lists every path of the API with its role, and no other', () => {
    const rows = rowsOf(sectionOf(read('README.md'), 'HTTP')).filter(([cell = '']) => cell.startsWith('`'))
    const listed = rows.flatMap(([cell = '', role = '']) =>
      [...cell.matchAll(/`(\w+) ([^`]+)`/g)].map(([, method = '', path = '']) => `${method} ${path} ${role}`),
    )
    // What describes the API is not described by it.
    const own = ['GET /docs none', 'GET /openapi.json none']
    expect(listed.filter((line) => !own.includes(line)).sort()).toEqual(operations().sort())
    expect(own.filter((line) => !listed.includes(line))).toEqual([])
  })

  it('lists every connector with its roles', () => {
    const rows = rowsOf(sectionOf(read('README.md'), 'Connectors')).slice(1)
    const listed = rows.map(([cell = '', , roles = '']) => [/\[([\w-]+)\]/.exec(cell)?.[1], roles])
    expect(listed).toEqual(connectorIds.map((id) => [id, connectorInfo[id].roles.join(', ')]))
  })
})

describe('ARCHITECTURE', () => {
  const invariants = sectionOf(read('ARCHITECTURE.md'), 'Invariants')

  it('names for every invariant a test that is there', () => {
    const named = [...invariants.matchAll(/`(test\/[^`]+)` › "([^"]+)"/g)]
    const missing = named.filter(([, file = '', title = '']) => {
      return !existsSync(join(root, file)) || !read(file).includes(title)
    })
    expect(missing.map(([text]) => text)).toEqual([])
    const without = invariants
      .split(/^\d+\. /m)
      .slice(1)
      .filter((text) => !text.includes('` › "'))
    expect(without).toEqual([])
  })
})

describe('docs/errors.md', () => {
  const page = read('docs/errors.md')

  it.each(Object.keys(ERRORS) as ErrorCode[])('has a section on %s with its facts', (code) => {
    const section = sectionOf(page, code).replace(/\s+/g, ' ')
    const { title, fix, status, retry } = ERRORS[code]
    expect(section).toContain(title)
    expect(section).toContain(fix)
    expect(section).toContain(`HTTP ${status}`)
    expect(section).toContain(`Exit: ${exitCode(code)}`)
    expect(section).toMatch(retry === 'later' ? /Retry: later/ : /Retry: (?:no|parks)/)
  })

  it('has no section on anything else', () => {
    const headings = [...page.matchAll(/^### (\S+)$/gm)].map(([, heading]) => heading)
    expect(headings.filter((heading) => !(heading && heading in ERRORS))).toEqual([])
  })
})

describe('docs/configuration.md', () => {
  const page = read('docs/configuration.md')
  const keysIn = (text: string) =>
    rowsOf(text).flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, key]) => key))

  it('describes every key of the file, of connections, flows and filters', async () => {
    const { properties } = configJsonSchema(await Promise.all(connectorIds.map((id) => loadConnector(id))))
    const described = keysIn(page)
    const expected = [
      ...Object.keys(properties ?? {}),
      ...[
        'use',
        'baseUrl',
        'allowPrivate',
        'region',
        'concurrency',
        'deliveriesPerMinute',
        'minutesPerDay',
        'recordingWaitMs',
        'reconcile',
        'subscribe',
        'indexLagMs',
        'measureTracks',
        'redact',
        'gather',
      ],
      ...['from', 'when', 'analyze', 'write', 'unknownCaller', 'prefer', 'name'],
      ...['direction', 'result', 'minTalkMs', 'segment', 'language'],
      ...['audio', 'transcript', 'deliveries', 'calls'],
    ]
    expect(expected.filter((key) => !described.includes(key))).toEqual([])
  })

  it.each(connectorIds)('describes every key of %s, and no other', async (id) => {
    const common = [
      'use',
      'allowPrivate',
      'region',
      'concurrency',
      'deliveriesPerMinute',
      'minutesPerDay',
      'recordingWaitMs',
      'reconcile',
      'subscribe',
      'indexLagMs',
      'measureTracks',
      'redact',
      'gather',
    ]
    const connections = configJsonSchema([await loadConnector(id)]).properties?.connections
    const one = connections?.additionalProperties as { oneOf: { properties: Record<string, unknown> }[] }
    const keys = one.oneOf.flatMap(({ properties }) => Object.keys(properties))
    const described = keysIn(sectionOf(page, id)).filter((key) => key !== undefined && !key.includes('.'))
    expect(described.sort()).toEqual(keys.filter((key) => !common.includes(key)).sort())
  })

  it('names every environment variable that the program reads', () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => read(join('src', file)))
    const read_ = new Set(
      sources.flatMap((text) => [...text.matchAll(/\benv\.(CORDBOARD_\w+)/g)].map(([, name]) => name)),
    )
    expect([...read_].filter((name) => !page.includes(`\`${name}\``))).toEqual([])
  })
})

async function load(name: string): Promise<Command | undefined> {
  return Object.hasOwn(commands, name) ? (await commands[name]?.load())?.command : undefined
}

/** Of a page of ours, as forges make them of headings. */
function anchorsOf(file: string): string[] {
  return [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\d\s_-]/gu, '')
      .replace(/\s/g, '-'),
  )
}

/** Made by people or by the build, not in the repository. */
function isMade(path: string): boolean {
  return path.startsWith('connectors/acme-voice')
}

/** `GET /v1/calls viewer`, of the generated document. */
function operations(): string[] {
  const found: string[] = []
  let path = ''
  let method = ''
  for (const line of read('openapi/cordboard.yaml').split('\n')) {
    path = /^ {2}(\/\S*):$/.exec(line)?.[1] ?? path
    const next = /^ {4}(get|post|put|patch|delete|head|options):$/.exec(line)?.[1]
    if (next) {
      method = next
      found.push(`${method.toUpperCase()} ${path} none`)
    }
    const role = /^ {6}x-cordboard-role: (\w+)$/.exec(line)?.[1]
    if (role) found.push((found.pop() ?? '').replace(/ none$/, ` ${role}`))
  }
  const hook = found.filter((line) => line.includes(' /hooks/'))
  const others = found.filter((line) => !line.includes(' /hooks/'))
  return hook.length === 0 ? others : [...others, 'ANY /hooks/{connection}/{path} the vendor’s own proof']
}
