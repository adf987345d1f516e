import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectorIds, connectorInfo, loadConnector } from '../../../connectors/index.ts'
import { ownSchema } from '../../config/own-keys.ts'
import { publicUrlFault } from '../../config/public-url.ts'
import { configFile } from '../../config/schema.ts'
import { suggest } from '../../config/suggest.ts'
import type { Connector } from '../../connector/contract.ts'
import { CordboardError } from '../../errors.ts'
import { createAsker } from '../ask.ts'
import { defineCommand } from '../command.ts'
import { configText, type Draft } from '../config-text.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'

/** `cordboard sandbox` has its control on 4010; the stand-ins follow in their order. */
const FIRST_STAND_IN_PORT = 4011

type Role = 'telephony' | 'analysis' | 'crm'
const QUESTIONS = [
  ['phone', 'telephony', 'Phone system'],
  ['analysis', 'analysis', 'Analysis service (or none)'],
  ['crm', 'crm', 'CRM'],
] as const

export const command = defineCommand({
  usage: 'init [--phone C] [--analysis C] [--crm C] [--region XX] [--public-url URL]',
  about: 'Writes cordboard.config.ts and .env.example. Asks for what is not given, on a terminal only.',
  examples: [
    ['cordboard init', 'asks five questions'],
    ['cordboard init --phone twilio --analysis xosum --crm hubspot --region FR', 'asks nothing'],
    ['cordboard init --from demo', 'with the stand-ins of cordboard sandbox: replace one after the other'],
  ],
  options: {
    phone: { type: 'string', value: 'C', about: 'connector of the phone system' },
    analysis: { type: 'string', value: 'C', about: 'connector of the analysis service, or none' },
    crm: { type: 'string', value: 'C', about: 'connector of the CRM' },
    region: { type: 'string', value: 'XX', about: 'country of numbers without a country code' },
    'public-url': { type: 'string', value: 'URL', about: 'the https address vendors will call' },
    from: { type: 'string', value: 'demo', about: 'start with the stand-ins instead of real vendors' },
    force: { type: 'boolean', about: 'overwrite what is there' },
  },
  args: [0, 0],
  async run({ flags, io }) {
    const files = ['cordboard.config.ts', '.env.example']
    const there = files.filter((file) => existsSync(join(io.cwd, file)))
    if (there.length > 0 && !flags.force) {
      const fix = 'Add --force to overwrite, or change the file itself'
      throw wrong('init', `${there.join(' and ')} ${there.length === 1 ? 'is' : 'are'} here already`, fix)
    }
    if (flags.from !== undefined && flags.from !== 'demo')
      throw wrong('init', `--from takes demo, seen ${flags.from}`)
    const draft = flags.from === 'demo' ? await demoDraft() : await askedDraft(flags, io)
    const { config, env } = configText(draft)
    writeFileSync(join(io.cwd, 'cordboard.config.ts'), config)
    writeFileSync(join(io.cwd, '.env.example'), env)
    for (const file of files) io.out(file)
    io.err(
      flags.from === 'demo'
        ? 'Next: cp .env.example .env, cordboard sandbox in another terminal, then here: cordboard serve'
        : `Next: fill in what is empty in ${files[0]}; cp .env.example .env, fill it in; then: cordboard doctor`,
    )
    return EXIT.ok
  },
})

type Given = { phone?: string; analysis?: string; crm?: string; region?: string; 'public-url'?: string }

async function askedDraft(given: Given, io: Io): Promise<Draft> {
  const missing = QUESTIONS.filter(([flag]) => given[flag] === undefined)
  if (missing.length > 0 && !io.canAsk) {
    const flags = missing.map(([flag]) => `--${flag}`).join(', ')
    const fix = missing.map(([flag, role]) => `--${flag}: ${idsWith(role).join(', ')}`).join('; ')
    throw wrong('init', `init needs ${flags}: nobody can be asked here`, fix)
  }
  const answers = missing.length > 0 ? await ask(given) : given
  const chosen = {
    phone: choice('phone', answers),
    analysis: choice('analysis', answers),
    crm: choice('crm', answers),
  }
  const region = answers.region?.toUpperCase()
  if (region !== undefined && !configFile.shape.region.safeParse(region).success)
    throw wrong('init', `--region takes the two letters of a country, such as FR; seen ${answers.region}`)
  const publicUrl = answers['public-url']
  const fault = publicUrl === undefined ? null : publicUrlFault(publicUrl)
  if (fault !== null) throw wrong('init', `--public-url takes ${fault}; seen ${publicUrl}`)
  const ids = [...new Set(Object.values(chosen).flat())]
  const connections = await Promise.all(
    ids.map(async (id) => {
      const connector = await loadConnector(id)
      return { id, connector, known: chosen.phone.includes(id) ? asPhoneSystem(connector) : {} }
    }),
  )
  return {
    publicUrl,
    region,
    connections,
    flows: [{ from: chosen.phone, analyze: chosen.analysis, write: chosen.crm }],
  }
}

async function ask(given: Given): Promise<Given> {
  const asker = createAsker()
  try {
    const answers: Given = { ...given }
    for (const [flag, role, words] of QUESTIONS) {
      answers[flag] ??= await asker.text(`${words}, one of ${idsWith(role).join(', ')}`, idsWith(role)[0])
    }
    answers.region ??= await asker.text('Country of numbers without a country code, two letters', 'FR')
    const url =
      given['public-url'] ?? (await asker.text('https address that vendors will call (empty: later)'))
    return url === '' ? answers : { ...answers, 'public-url': url }
  } finally {
    asker.close()
  }
}

/** A CRM that is the phone system as well, or that others log calls in, takes them only when it is told to. */
function asPhoneSystem(connector: Connector): Record<string, unknown> {
  if (!connector.crm) return {}
  if (ownSchema(connector).properties?.calls?.type === 'boolean') return { calls: true }
  throw wrong(
    'init',
    `How ${connector.name} tells of calls cannot be asked in a word`,
    `Name another --phone, then set it up by connectors/${connector.id}/README.md`,
  )
}

/** Many a CRM can tell of the calls that others log in it: it may be named, but nobody has it for a phone system to begin with. */
function idsWith(role: Role): string[] {
  const crms = allWith('crm')
  return allWith(role).filter((id) => role === 'crm' || !crms.includes(id))
}

function allWith(role: Role): string[] {
  return connectorIds.filter((id) => (connectorInfo[id].roles as readonly string[]).includes(role))
}

function choice(flag: 'phone' | 'analysis' | 'crm', answers: Given): string[] {
  const answer = answers[flag] ?? 'none'
  if (answer === 'none' && flag !== 'phone') return []
  const role = QUESTIONS.find(([name]) => name === flag)?.[1] ?? 'telephony'
  const fitting = idsWith(role)
  if (fitting.includes(answer) || allWith(role).includes(answer)) return [answer]
  const meant = suggest(answer, fitting)
  throw wrong(
    'init',
    `${answer} is no ${role} connector`,
    meant ? `Did you mean ${meant}?` : `Use: ${fitting.join(', ')}`,
  )
}

/** The stand-ins as connections: their keys open nothing, so they may stand in .env.example. */
async function demoDraft(): Promise<Draft> {
  const { SANDBOX_CONNECTIONS } = await import('../../sandbox/world.ts')
  const entries = Object.entries(SANDBOX_CONNECTIONS)
  const connections = await Promise.all(
    entries.map(async ([id, { use, settings }], i) => {
      const host = `127.0.0.1:${FIRST_STAND_IN_PORT + i}`
      const known = { ...settings, baseUrl: `http://${host}`, allowPrivate: [host] }
      return { id, connector: await loadConnector(use), known }
    }),
  )
  const withRole = (role: Role) =>
    connections
      .filter(({ connector }) => connector[role] && (role === 'crm' || !connector.crm))
      .map(({ id }) => id)
  const from = withRole('telephony')
  if (from.length === 0) throw new CordboardError('internal', 'There is no stand-in of a phone system')
  return {
    publicUrl: 'http://127.0.0.1:8080',
    region: 'FR',
    connections,
    flows: [{ from, analyze: withRole('analysis'), write: withRole('crm') }],
  }
}
