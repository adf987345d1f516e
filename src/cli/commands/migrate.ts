import { resolve } from 'node:path'
import { prepare } from '../../node/prepare.ts'
import { dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, servicesHere } from '../configured.ts'
import { EXIT } from '../exit.ts'

export const command = defineCommand({
  usage: 'migrate',
  about:
    'Brings the tables up to date: once per version where DATABASE_URL is set, before its processes start. They only grow, so that the version before goes on working meanwhile.',
  examples: [
    ['cordboard migrate', 'of DATABASE_URL, or of the data folder'],
    ['cordboard migrate --json', 'what was run, for scripts'],
  ],
  options: { ...dataOption, ...jsonOption },
  args: [0, 0],
  async run({ flags, io }) {
    const services = await servicesHere(io)
    const ran = await prepare(services, resolve(io.cwd, dataDirOf(flags.data, io)))
    if (flags.json) io.json({ migrated: ran })
    else io.out(ran.length === 0 ? 'up to date' : `ran ${ran.join(', ')}`)
    return EXIT.ok
  },
})
