import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { GivenFile, Operation } from '../../../src/connector/contract.ts'
import { utf8 } from '../../../src/connector/encoding.ts'
import { asObject } from '../../../src/connector/json.ts'
import { optionsOf, readInput } from '../../../src/connector/operations.ts'
import { STORY_FILE, type Subject } from './fixtures.ts'
import { sampleAudio } from './samples.ts'
import { failureOf, openWorld, type World } from './world.ts'

/**
 * `fixtures/operations.json`: what a person does with the operations of a connector, one after the other, against one
 * stand-in. Options are texts, as on a command line; `{name}` stands for what an earlier answer had at a path that it kept.
 */
const story = z.strictObject({
  provenance: z.string().min(1),
  config: z.record(z.string(), z.unknown()).default({}).describe('laid over connection.json'),
  steps: z.array(
    z.strictObject({
      run: z
        .string()
        .regex(/^[a-z-]+ [a-z-]+$/)
        .describe('resource and verb'),
      options: z.record(z.string(), z.union([z.string(), z.array(z.string())])).default({}),
      file: z
        .strictObject({ name: z.string(), text: z.string().optional() })
        .optional()
        .describe('without text: the sample recording'),
      afterMs: z.int().nonnegative().default(0),
      keep: z.record(z.string(), z.string()).default({}).describe('name → path in the answer'),
      answer: z.unknown().optional().describe('what the answer has at least; of a file `contentType`'),
    }),
  ),
})
type Step = z.output<typeof story>['steps'][number]

/** Words that the command line takes for itself. */
const TAKEN = ['file', 'out', 'yes', 'json', 'config', 'data', 'help', 'version', 'debug', 'no-color']

export function operationsTests(subject: Subject): void {
  const all = namesOf(subject)
  if (all.length === 0) return
  describe('operations', () => {
    test.each(all)('%s says in one line what it does, and where that is documented', (name) => {
      const operation = operationOf(subject, name)
      expect(operation.says).toMatch(/^\S[^\n]{2,110}[^\s.]$/)
      expect(URL.parse(operation.docs)?.protocol).toBe('https:')
      const options = optionsOf(operation)
      expect(options.filter((option) => TAKEN.includes(option.name)).map((option) => option.name)).toEqual([])
      expect(options.filter(({ about }) => about === '').map((option) => option.name)).toEqual([])
    })

    test(`fixtures/${STORY_FILE} runs every operation against the stand-in`, async () => {
      const world = await openStory(subject)
      const ran = await tellStory(world)
      expect(all.filter((name) => !ran.includes(name))).toEqual([])
    })

    test('each is `auth` when the credentials are refused', async () => {
      const world = await openStory(subject)
      await tellStory(world, async (run, name) => {
        const other = await openStory(subject)
        other.sandbox.fail({ fault: { kind: 'status', status: 401 }, times: 100 })
        expect(await failureOf(run(other)), name).toMatchObject({ code: 'auth' })
      })
    })
  })
}

/** A world for the story: the subject's connection with the story's keys. */
export function openStory(subject: Subject, options: Parameters<typeof openWorld>[1] = {}): Promise<World> {
  const { config } = readStory(subject)
  return openWorld({ ...subject, settings: { ...subject.settings, ...config } }, options)
}

/** Runs the story; answers which operations ran. `before` gets each step with a way to run it in another world. */
export async function tellStory(
  world: World,
  before: (run: (other: World) => Promise<unknown>, name: string) => Promise<void> = async () => undefined,
): Promise<string[]> {
  const { subject } = world
  const kept: Record<string, string> = {}
  const ran: string[] = []
  for (const step of readStory(subject).steps) {
    const run = (where: World) => perform(operationOf(subject, step.run), step, kept, where)
    await before(run, step.run)
    await world.advance(step.afterMs)
    const answer = await run(world)
    if (step.answer !== undefined) expect(answer, step.run).toMatchObject(step.answer as object)
    for (const [name, path] of Object.entries(step.keep)) {
      const value = at(answer, path)
      expect(['string', 'number'], `${step.run}: ${path}`).toContain(typeof value)
      kept[name] = String(value)
    }
    ran.push(step.run)
  }
  return ran
}

export function hasStory({ folder }: Subject): boolean {
  return Object.hasOwn(folder.fixtures, STORY_FILE)
}

function readStory({ folder }: Subject) {
  return story.parse(JSON.parse(folder.fixtures[STORY_FILE] ?? ''))
}

function namesOf({ connector }: Subject): string[] {
  return Object.entries(connector.operations ?? {}).flatMap(([resource, verbs]) =>
    Object.keys(verbs).map((verb) => `${resource} ${verb}`),
  )
}

function operationOf({ connector }: Subject, name: string): Operation<unknown> {
  const [resource = '', verb = ''] = name.split(' ')
  const operation = connector.operations?.[resource]?.[verb]
  if (!operation) throw new Error(`${STORY_FILE} runs ${name}, which is no operation`)
  return operation
}

/** The answer; of a file its type and size. */
async function perform(
  operation: Operation<unknown>,
  { run, options, file }: Step,
  kept: Record<string, string>,
  world: World,
): Promise<unknown> {
  const given = Object.fromEntries(
    Object.entries(options).map(([name, values]) => [
      name,
      [values].flat().map((value) => filled(value, kept)),
    ]),
  )
  const input = readInput(operation, given, run)
  const answer = await operation.run(input, {
    ...world.context(),
    file: () => givenFile(file),
    redact: (text) => text,
  })
  if (!(answer instanceof Response)) return answer
  const bytes = (await answer.arrayBuffer()).byteLength
  expect(bytes, `${run} answers a file`).toBeGreaterThan(0)
  return { contentType: answer.headers.get('content-type'), bytes }
}

function givenFile(file: Step['file']): GivenFile {
  if (!file) throw new Error('this step of the story has no file')
  const bytes =
    file.text === undefined ? sampleAudio(file.name.endsWith('.wav') ? 'wav' : 'mp3') : utf8(file.text)
  const contentType = file.text === undefined ? 'audio/mpeg' : 'text/plain'
  const open = async () => new Blob([new Uint8Array(bytes)]).stream()
  return { name: file.name, contentType, bytes: bytes.length, open }
}

const filled = (text: string, kept: Record<string, string>): string =>
  text.replaceAll(/\{([a-z]+)\}/g, (all, name: string) => kept[name] ?? all)

function at(value: unknown, path: string): unknown {
  let found = value
  for (const key of path.split('.')) {
    found = Array.isArray(found) ? found[Number(key)] : asObject(found)?.[key]
  }
  return found
}
