import { resolve } from 'node:path'
import type { Config } from '../../config/model.ts'
import type { SetUp, WantedField } from '../../connector/crm-role.ts'
import { askVendor, masked } from '../ask-vendor.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, needConfigured } from '../configured.ts'
import { crmConnections } from '../crm-connection.ts'
import { EXIT } from '../exit.ts'
import { wrong } from '../parse.ts'
import { table } from '../table.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'crm setup <connection>',
  about:
    'Makes in the CRM what the configuration needs there: the fields that its flows map to, and a unique one by which no call ' +
    'is written twice. What its API cannot make is printed, with what to do. Nothing that is there is changed.',
  examples: [['cordboard crm setup hubspot', 'the properties of calls that the flows write']],
  options: { ...configOption, ...dataOption, ...jsonOption },
  args: [2, 2],
  async run({ flags, args: [verb = '', id = ''], io }) {
    if (verb !== 'setup') throw wrong('crm', `crm can setup; it cannot ${verb}`)
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const [one] = crmConnections(configured, id, 'crm')
    if (!one) return EXIT.failed
    const { connection, crm } = one
    const wanted = wantedFields(configured.config, id)
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    const { ctx, close } = askVendor({ configured, connection, dataDir, signal: untilInterrupted() })
    let done: readonly SetUp[]
    try {
      done = crm.setUp ? await crm.setUp(wanted, ctx) : wanted.map(byHand)
    } catch (thrown) {
      throw masked(thrown, connection)
    } finally {
      await close()
    }
    if (flags.json) for (const line of done) io.json(line)
    else if (done.length === 0) io.out(`${id} needs nothing: no flow maps fields to it`)
    else for (const line of table(done.map(({ what, state, fix }) => [state, what, fix ?? '']))) io.out(line)
    if (wanted.length === 0 && mapsByFunction(configured.config, id))
      io.err('A function maps fields: which ones is not known before a call is written')
    io.err(`Next: cordboard doctor ${id}`)
    return done.some(({ state }) => state === 'by hand') ? EXIT.failed : EXIT.ok
  },
})

/** The fields that flows write to this CRM, by their names. */
function wantedFields({ flows }: Pick<Config, 'flows'>, connection: string): WantedField[] {
  const wanted = new Map<string, WantedField>()
  for (const { fields } of flows) {
    for (const { name, type } of fields.get(connection)?.names ?? []) {
      // Two flows may give it different things: a number fits into a text, and not the other way round.
      if (wanted.get(name)?.type !== 'text') wanted.set(name, { name, label: labelOf(name), type })
    }
  }
  return [...wanted.values()]
}

function mapsByFunction({ flows }: Pick<Config, 'flows'>, connection: string): boolean {
  return flows.some(({ fields }) => fields.get(connection)?.names === null)
}

/** `Call_Score__c` → `Call Score` */
function labelOf(name: string): string {
  const words = name.replace(/__c$/, '').replaceAll('_', ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const byHand = ({ name, type }: WantedField): SetUp => ({
  what: `the field ${name}`,
  state: 'by hand',
  fix: `Make it as a ${type} field in the CRM; its API name must be ${name}`,
})
