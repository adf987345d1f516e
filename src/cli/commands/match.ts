import { resolve } from 'node:path'
import { type Call, call } from '../../call/call.ts'
import { normalisePhone } from '../../call/phone.ts'
import type { Flow } from '../../config/model.ts'
import { PREFERENCES } from '../../connector/crm-role.ts'
import { decide } from '../../pipeline/decide.ts'
import { askVendor, masked } from '../ask-vendor.ts'
import { configOption, dataOption, defineCommand, jsonOption } from '../command.ts'
import { type Configured, dataDirOf, needConfigured } from '../configured.ts'
import { type CrmConnection, crmConnections } from '../crm-connection.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'
import { table } from '../table.ts'
import { untilInterrupted } from '../until-stopped.ts'

export const command = defineCommand({
  usage: 'match <phone> [--crm <connection>]',
  about:
    'Asks the CRM who has a number, as for a call from it, and says what each flow would do. Writes nothing.',
  examples: [
    ['cordboard match +33639981234', 'in every CRM of the configuration'],
    ['cordboard match "06 39 98 12 34" --crm hubspot', 'as people write it, in one of them'],
  ],
  options: {
    crm: { type: 'string', value: 'ID', about: 'only this CRM connection' },
    ...configOption,
    ...dataOption,
    ...jsonOption,
  },
  args: [1, 1],
  async run({ flags, args: [typed = ''], io }) {
    const configured = await needConfigured(flags.config, io)
    if (typeof configured === 'number') return configured
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    for (const one of crmConnections(configured, flags.crm, 'match'))
      await explain({ configured, one, typed, dataDir, json: flags.json ?? false, io })
    return EXIT.ok
  },
})

interface Wanted {
  configured: Configured
  one: CrmConnection
  typed: string
  dataDir: string
  json: boolean
  io: Io
}

async function explain({ configured, one, typed, dataDir, json, io }: Wanted): Promise<void> {
  const { connection, crm } = one
  const from = callFrom(typed, connection.region)
  const { ctx, close } = askVendor({ configured, connection, dataDir, signal: untilInterrupted() })
  try {
    const candidates = await crm.match(from, ctx, PREFERENCES)
    const { id, settings: config, region } = connection
    const creates = crm.newContact?.(from, { connection: id, config, region }) != null
    const flows = configured.config.flows.filter(({ write }) => write.includes(connection.id))
    const verdicts = flows.map((flow) => {
      const { target, verdict, says } = decide(candidates, flow, { call: from, isLogged: false, creates })
      return { flow: flow.name, verdict, record: target && `${target.type}/${target.id}`, says }
    })
    if (json) return io.json({ connection: connection.id, candidates, flows: verdicts })
    io.out(io.paint('bold', connection.id))
    if (candidates.length === 0) {
      io.out('  nobody has this number')
      io.err(`  A record made within the last ${crm.indexLagMs / 1000} s may not show in its search yet`)
    }
    const rows = candidates.map((found) => [`${found.type}/${found.id}`, found.name ?? '', found.reason])
    for (const line of table(rows)) io.out(`  ${line}`)
    for (const { flow, record, says } of verdicts)
      io.out(`  flow ${flow}: ${record ? `${record}, ${says}` : says}`)
    if (flows.length === 0) io.err(`  No flow writes to ${connection.id}`)
  } catch (thrown) {
    throw masked(thrown, connection)
  } finally {
    await close()
  }
}

function callFrom(typed: string, region: Flow['name'] | undefined): Call {
  const { e164, kind } = normalisePhone(typed, region)
  if (e164 === null) {
    const fix = region
      ? 'Write it with its country code: +33…'
      : 'Write it with its country code, or set region'
    throw wrong('match', `This is no public number (${kind})`, fix)
  }
  const party = { phone: e164, phoneRaw: typed }
  return call.parse({
    id: 'call_match',
    source: { connection: 'match', callId: 'match' },
    direction: 'inbound',
    result: 'answered',
    from: party,
    customer: party,
  })
}
