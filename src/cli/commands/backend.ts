import { resolve } from 'node:path'
import { createRedactor } from '../../call/redact.ts'
import type { Connection } from '../../config/model.ts'
import { suggest } from '../../config/suggest.ts'
import type { GivenFile, Operation, Operations } from '../../connector/contract.ts'
import { readInput } from '../../connector/operations.ts'
import { CordboardError } from '../../errors.ts'
import { leavesRedacted } from '../../pipeline/content.ts'
import { createAsker } from '../ask.ts'
import { askVendor, masked } from '../ask-vendor.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { type Configured, dataDirOf, needConfigured } from '../configured.ts'
import { EXIT } from '../exit.ts'
import { type Destination, destination, givenFile } from '../files.ts'
import type { Io } from '../io.ts'
import { listOperations } from '../list-operations.ts'
import { wrong } from '../parse.ts'
import { showAnswer } from '../show-answer.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'backend <connection> [<resource> [<verb>]] [--name value …]',
  about:
    'What a vendor’s API does beside calls: lists it, or does it with the connection’s own credentials. What costs ' +
    'money, or changes what others see, is asked for first.',
  examples: [
    ['cordboard backend transcripto', 'everything this connection can be asked for'],
    ['cordboard backend transcripto tasks', 'the verbs of one resource, with their options'],
    ['cordboard backend transcripto tasks list --where status=error', 'one of them, with options of its own'],
    [
      'cordboard backend transcripto files docx --code 9360911d-34ce-4e1f-9259-2ba0a1b96ae7 --out call.docx',
      'a file',
    ],
  ],
  options: {
    file: { type: 'string', value: 'PATH', about: 'the file to send' },
    out: { type: 'string', value: 'PATH', about: 'where an answer goes that is a file' },
    yes: { type: 'boolean', about: 'do not ask; replace the file that --out names' },
    ...configOption,
    ...dataOption,
    ...jsonOption,
  },
  args: [1, 3],
  takesMore: true,
  async run({ flags, args: [id = '', resource, verb], more, io }) {
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const connection = connectionOf(configured, id)
    const all = operationsOf(connection)
    if (resource === undefined) return listOperations(all, flags.json ?? false, io)
    const verbs = named(all, resource, `${id} has no resource`)
    // A resource with one verb needs no second word.
    const [only, another] = Object.keys(verbs)
    const chosen = verb ?? (another === undefined ? only : undefined)
    if (chosen === undefined) return listOperations({ [resource]: verbs }, flags.json ?? false, io)

    const operation = named(verbs, chosen, `${id} ${resource} has no verb`)
    const input = readInput(operation, more, `${resource} ${chosen}`)
    const file = flags.file === undefined ? null : givenFile(flags.file, io)
    const out = flags.out === undefined ? null : destination(flags.out, flags.yes ?? false, io)
    if (!flags.yes && !(await agreed(operation, `${resource} ${chosen}`, io))) return EXIT.failed
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    return perform({
      configured,
      connection,
      dataDir,
      operation,
      input,
      file,
      out,
      json: flags.json ?? false,
      io,
    })
  },
})

interface Wanted {
  configured: Configured
  connection: Connection
  dataDir: string
  operation: Operation<unknown>
  input: Record<string, unknown>
  file: GivenFile | null
  out: Destination | null
  json: boolean
  io: Io
}

async function perform(wanted: Wanted): Promise<number> {
  const { configured, connection, dataDir, operation, input, file, out, json, io } = wanted
  const signal = untilInterrupted()
  const { ctx, close } = askVendor({ configured, connection, dataDir, signal })
  try {
    const answer = await operation.run(input, {
      ...ctx,
      file: () => file ?? needsFile(),
      redact: leavesRedacted(connection) ? createRedactor() : (text) => text,
    })
    if (answer instanceof Response) await save(answer, out, json, io)
    else if (json) for (const line of Array.isArray(answer) ? answer : [answer ?? null]) io.json(line)
    else showAnswer(answer, io)
    return EXIT.ok
  } catch (thrown) {
    if (signal.aborted) return EXIT.interrupted
    throw masked(thrown, connection)
  } finally {
    await close()
  }
}

function needsFile(): never {
  throw new CordboardError('bad_request', 'This needs a file', { fix: 'Name it with --file PATH' })
}

async function save(answer: Response, out: Destination | null, json: boolean, io: Io): Promise<void> {
  const contentType = answer.headers.get('content-type') ?? 'application/octet-stream'
  if (!out || !answer.body) {
    await answer.body?.cancel()
    if (!answer.body) throw new CordboardError('invalid_payload', 'The vendor’s answer is an empty file')
    throw new CordboardError('bad_request', `The answer is a file (${contentType})`, {
      fix: 'Say where it goes with --out PATH',
    })
  }
  const bytes = await out.write(answer.body)
  if (json) io.json({ out: out.path, bytes, contentType })
  else io.out(`${out.path}  ${bytes} bytes  ${contentType}`)
}

/** Without a person to ask, `--yes` must have been said. */
async function agreed({ changes }: Operation<unknown>, what: string, io: Io): Promise<boolean> {
  if (changes === undefined) return true
  const says = changes === 'costs' ? 'may cost money' : 'changes what others see'
  if (!io.canAsk) {
    throw new CordboardError('bad_request', `${what} ${says}, and nobody can be asked`, {
      fix: 'Add --yes to do it',
    })
  }
  const asker = createAsker()
  try {
    return await asker.yes(`${what} ${says}. Do it?`)
  } finally {
    asker.close()
  }
}

function connectionOf({ config }: Configured, id: string): Connection {
  const found = config.connections.get(id)
  if (found) return found
  const ids = [...config.connections.keys()]
  const meant = suggest(id, ids)
  const fix = meant ? `Did you mean ${meant}?` : `Use one of: ${ids.join(', ')}`
  throw wrong('backend', `There is no connection ${id}`, fix)
}

function operationsOf({ id, connector }: Connection): Operations<unknown> {
  if (connector.operations) return connector.operations
  throw new CordboardError('bad_request', `${id} (${connector.name}) has nothing to be done by hand`, {
    fix: 'Name a connection of another connector',
  })
}

function named<Value>(all: Readonly<Record<string, Value>>, name: string, says: string): Value {
  const found = Object.hasOwn(all, name) ? all[name] : undefined
  if (found !== undefined) return found
  const meant = suggest(name, Object.keys(all))
  const fix = meant ? `Did you mean ${meant}?` : `Use one of: ${Object.keys(all).join(', ')}`
  throw wrong('backend', `${says} ${name}`, fix)
}
