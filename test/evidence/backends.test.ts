import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { connectorIds, connectorInfo, loadConnector } from '../../connectors/index.ts'
import { openapiFiles } from '../../scripts/lint-openapi.ts'
import { read, root } from './checkout.ts'
import { rowsOf, sectionOf } from './pages.ts'

/** docs/backends.md is compared with the services' documents, the connectors' operations and the files of tests. */

type Methods = Record<string, { operationId?: string }>
interface Document {
  paths: Record<string, Methods>
  webhooks?: Record<string, Methods>
}

/** A service joins by its document and its connector: before both are there, its section is not looked at. */
const services = connectorIds.flatMap((id) => {
  const file = openapiFiles().find(({ pathname }) => pathname.endsWith(`/${id}.yaml`))
  return file ? [{ id, name: connectorInfo[id].name, file }] : []
})

it('there are services with a document', () => expect(services.length).toBeGreaterThanOrEqual(3))

describe.each(services)('docs/backends.md on $name', ({ id, name, file }) => {
  const rows = rowsOf(sectionOf(read('docs/backends.md'), name)).slice(1)

  it('has a row for every operation of the document, and no other', () => {
    const listed = rows.map(([operation = '', request = '']) => `${operation} ${request}`.replaceAll('`', ''))
    expect(listed.sort()).toEqual(documented(file).sort())
  })

  it('leaves no cell empty', () => {
    expect(rows.filter((row) => row.length !== 4 || row.some((cell) => !/\w/.test(cell)))).toEqual([])
  })

  it('names every command of the connection, and no other', async () => {
    const { operations = {} } = await loadConnector(id)
    const commands = Object.entries(operations).flatMap(([resource, verbs]) =>
      Object.keys(verbs).map((verb) => `${resource} ${verb}`),
    )
    const named = rows.flatMap(([, , usedBy = '']) =>
      [...usedBy.matchAll(/`([a-z]+ [a-z-]+)`/g)].map(([, command = '']) => command),
    )
    const isOurs = (command: string) => !command.startsWith('cordboard ')
    expect([...new Set(named.filter(isOurs))].sort()).toEqual(commands.sort())
  })

  it('names tests that are there', () => {
    const named = rows.map(([, , , tests = '']) =>
      [...tests.matchAll(/`([^`]+)`/g)].map(([, test = '']) => test),
    )
    expect(named.filter((tests) => tests.length === 0)).toEqual([])
    expect(named.flat().filter((test) => !/\.test\.ts$/.test(test))).toEqual([])
    expect(named.flat().filter((test) => !existsSync(join(root, 'test', test)))).toEqual([])
  })
})

/** `operationId METHOD /path`, or `operationId webhook name`. */
function documented(file: URL): string[] {
  const { paths, webhooks = {} } = parse(readFileSync(file, 'utf8')) as Document
  const of = (group: Record<string, Methods>, named: (method: string, path: string) => string) =>
    Object.entries(group).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { operationId }]) =>
        operationId === undefined ? [] : [`${operationId} ${named(method, path)}`],
      ),
    )
  return [
    ...of(paths, (method, path) => `${method.toUpperCase()} ${path}`),
    ...of(webhooks, (_, name) => `webhook ${name}`),
  ]
}
