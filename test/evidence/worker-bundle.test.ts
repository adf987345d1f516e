import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectorIds } from '../../connectors/index.ts'
import { read, root } from './checkout.ts'
import { bundleWorker, THREE_CONNECTORS, type WorkerBundle } from './worker-bundle.ts'

/** What a deployed Worker holds, and what it must not. */
describe('the bundle of a Worker', () => {
  let bundle: WorkerBundle
  beforeAll(async () => {
    bundle = await bundleWorker(THREE_CONNECTORS)
  }, 60_000)
  afterAll(() => bundle?.[Symbol.dispose]())

  const from = (path: RegExp) => [...bundle.parts.keys()].filter((part) => path.test(part))

  it.each([
    'node:fs',
    'node:worker_threads',
    'node:sqlite',
    'node:net',
    'ioredis',
    'bullmq',
    'better-sqlite3',
  ])('does not hold %s', (text) => {
    expect(bundle.text.includes(text)).toBe(false)
  })

  it('is made of no library that only Node runs', () => {
    const NODE_ONLY =
      /node_modules\/(?:got|pg|ioredis|bullmq|@bull-board|request-filtering-agent|@hono\/node-server)\//
    expect(from(NODE_ONLY)).toEqual([])
    expect(from(/\/src\/(?:node|cli|sandbox)\//)).toEqual([])
  })

  it('holds the connectors that the configuration names, and no others', () => {
    const held = connectorIds.filter((id) => from(new RegExp(`connectors/${id}/`)).length > 0)
    expect(held).toEqual(['hubspot', 'twilio', 'xosum'])
    expect(bundle.text).toContain('hubapi.com')
    expect(bundle.text).not.toContain('zadarma')
    expect(from(/connectors\/index/)).toEqual([])
    expect(from(/sandbox/)).toEqual([])
  })

  it('holds zod with one language', () => {
    expect(from(/zod\/v4\/locales\//).map((path) => path.replace(/.*\//, ''))).toEqual(['en.js'])
  })

  it('evaluates at the start what webhooks need: neither the API, nor the work, nor the client of a vendor', () => {
    const held = (path: RegExp) => bundle.partsAtStart.filter((part) => path.test(part))
    expect(held(/src\/pipeline\/receive\.ts$/).length).toBe(1)
    expect(held(/connectors\/twilio\/connector\.ts$/).length).toBe(1)
    expect(held(/src\/http\/(?:api|calls|docs)\.ts$|zod-to-openapi|@hono\/zod-openapi/)).toEqual([])
    expect(held(/src\/worker\/consumer\.ts$|src\/pipeline\/(?:work|run|sweep|write)\.ts$/)).toEqual([])
    expect(held(/@hubspot|src\/call\/vcon/)).toEqual([])
    // As a text that is read when the first number is.
    expect(held(/metadata\.max\.json\.js$/).length).toBe(1)
    expect(bundle.text).not.toMatch(/country_calling_codes:\s*\{/)
  })

  it('makes no error while it starts: V8 would parse all of it once more for the place in its stack', () => {
    const sources = ['src', 'connectors'].flatMap((folder) =>
      readdirSync(`${root}${folder}`, { recursive: true }).map((file) => `${folder}/${file}`),
    )
    const made = sources.filter(
      (file) => file.endsWith('.ts') && /^(?:export )?const [^\n]*= new \w*Error\(/m.test(read(file)),
    )
    expect(sources.length).toBeGreaterThan(100)
    expect(made).toEqual([])
  })
})
