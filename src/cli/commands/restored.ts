import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CordboardError } from '../../errors.ts'
import { openStoreAsItIs, STORE_FILE } from '../../node/open.ts'
import { EMBEDDED } from '../../node/services.ts'
import { auditRow } from '../../pipeline/audit.ts'
import { markRestored } from '../../pipeline/restored.ts'
import { dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, servicesHere } from '../configured.ts'
import { EXIT } from '../exit.ts'

export const command = defineCommand({
  usage: 'restored',
  about:
    'Says that the store was put back from an older copy, before its servers start: what may have been done since is then looked for at the vendors before it is done. Copies made by cordboard backup and pg_dump say so themselves; snapshots of disks do not.',
  examples: [
    ['cordboard restored', 'after a snapshot of the disk was put back'],
    ['cordboard restored --data /srv/calls', 'of another data folder'],
  ],
  options: { ...dataOption, ...jsonOption },
  args: [0, 0],
  async run({ flags, io }) {
    const services = flags.data === undefined ? await servicesHere(io) : EMBEDDED
    const dataDir = resolve(io.cwd, dataDirOf(flags.data, io))
    if (services.databaseUrl === null && !existsSync(join(dataDir, STORE_FILE))) {
      throw new CordboardError('unknown_object', `There is no store in ${dataDirOf(flags.data, io)}`, {
        fix: 'Put the copy there first, or name its folder with --data DIR',
      })
    }
    const store = await openStoreAsItIs(services, dataDir)
    try {
      await store.migrate()
      const at = Date.now()
      const told = { store, now: () => at, random: Math.random }
      await store.atomic([], [markRestored(store, at), auditRow(told, 'cli', 'restored', 'store', '')])
      const restoredAt = new Date(at).toISOString()
      if (flags.json) io.json({ restoredAt })
      else io.out(`marked as put back at ${restoredAt}: what may have been done before is looked for first`)
    } finally {
      await store.close()
    }
    return EXIT.ok
  },
})
