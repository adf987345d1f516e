import { loadConnector } from '../../../connectors/index.ts'
import { durationText } from '../../config/duration.ts'
import { configJsonSchema } from '../../config/json-schema.ts'
import type { Config } from '../../config/model.ts'
import { suggest } from '../../config/suggest.ts'
import { maskSecrets } from '../../connector/mask.ts'
import { configOption, defineCommand, jsonOption } from '../command.ts'
import { type Configured, needConfigured } from '../configured.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'

const VERBS = ['check', 'print', 'schema']

export const command = defineCommand({
  usage: 'config check|print|schema',
  about: 'Checks the configuration, prints it as it is understood (no secret), prints its JSON Schema.',
  examples: [
    ['cordboard config check', 'every problem at once, each with its fix'],
    ['cordboard config print', 'what came out, and where each secret comes from'],
    ['cordboard config schema > cordboard.schema.json', 'for the editor of a JSON file'],
  ],
  options: { ...configOption, ...jsonOption },
  args: [1, 1],
  async run({ flags, args: [verb = ''], io }) {
    if (!VERBS.includes(verb)) {
      const meant = suggest(verb, VERBS)
      throw wrong(
        'config',
        `config has no word ${verb}`,
        `Did you mean: cordboard config ${meant ?? 'check'}`,
      )
    }
    if (verb === 'schema') return printSchema(io)
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const shown = describe(configured)
    if (flags.json) io.json(verb === 'check' ? { ok: true, file: configured.file } : shown)
    else if (verb === 'check') io.out(`${io.paint('green', '✔')} ${summary(configured)}`)
    else io.out(JSON.stringify(shown, null, 2))
    return EXIT.ok
  },
})

async function printSchema(io: Io): Promise<number> {
  const { connectorIds } = await import('../../../connectors/index.ts')
  const connectors = await Promise.all(connectorIds.map((id) => loadConnector(id)))
  io.out(JSON.stringify(configJsonSchema(connectors), null, 2))
  return EXIT.ok
}

export function summary({ file, config }: { file: string; config: Config }): string {
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : 's'}`
  return `${file}, ${count(config.connections.size, 'connection')}, ${count(config.flows.length, 'flow')}`
}

/** The configuration as the program sees it. Secrets are shown by where they come from. */
function describe({ file, config, secrets, originOf }: Configured) {
  const connections = [...config.connections.values()].map((connection) => {
    const { id, connector, settings, secrets: hidden, region, ...common } = connection
    const prefix = `connections.${id}.`
    const own = secrets
      .filter(({ path }) => path.startsWith(prefix))
      .map(({ path, names }) => [path.slice(prefix.length), names.map((name) => originText(name, originOf))])
    // Value by value: a short secret would take the JSON apart.
    const shown: unknown = JSON.parse(JSON.stringify(settings), (_, value: unknown) =>
      typeof value === 'string' ? maskSecrets(value, hidden) : value,
    )
    return [
      id,
      {
        use: connector.id,
        settings: shown,
        secrets: Object.fromEntries(own),
        region: region ?? null,
        ...Object.fromEntries(Object.entries(common).map(([key, value]) => [key, value ?? null])),
      },
    ] as const
  })
  const { audioMs, transcriptMs, deliveriesMs, callsMs } = config.keep
  return {
    file,
    publicUrl: config.publicUrl ?? null,
    region: config.region ?? null,
    connections: Object.fromEntries(connections),
    flows: config.flows.map(({ when, noAnalysis, fields, ...flow }) => ({
      ...flow,
      fields: Object.fromEntries(
        [...fields].map(([crm, { names }]) => [crm, names?.map(({ name }) => name) ?? 'a function']),
      ),
      when: when ? 'a condition' : 'every call',
      ...(noAnalysis ? { noAnalysis: 'a rule' } : {}),
    })),
    keep: {
      audio: durationText(audioMs),
      transcript: durationText(transcriptMs),
      deliveries: durationText(deliveriesMs),
      calls: durationText(callsMs),
    },
    hash: config.hash,
  }
}

function originText(name: string, originOf: Configured['originOf']): string {
  const origin = originOf(name)
  return origin === null ? `${name} (not set)` : `•••• ${origin} (set)`
}
