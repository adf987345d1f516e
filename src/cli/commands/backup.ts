import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CordboardError } from '../../errors.ts'
import { backupStore } from '../../node/backup.ts'
import { STORE_FILE } from '../../node/open.ts'
import { dataOption, defineCommand, jsonOption } from '../command.ts'
import { dataDirOf, servicesHere } from '../configured.ts'
import { EXIT } from '../exit.ts'

export const command = defineCommand({
  usage: 'backup <file>',
  about:
    'Copies the store of a data folder into one file, while a server uses it. The media folder is copied after it, with cp or rsync. With DATABASE_URL the database has its own tools.',
  examples: [
    ['cordboard backup backup.db', 'of .data, or of CORDBOARD_DATA'],
    ['cordboard backup /backup/monday.db --data /srv/calls', 'of another data folder'],
  ],
  options: { ...dataOption, ...jsonOption },
  args: [1, 1],
  async run({ flags, args: [name = ''], io }) {
    if (flags.data === undefined && (await servicesHere(io)).databaseUrl !== null) {
      throw new CordboardError('bad_request', 'The store is the database of DATABASE_URL', {
        fix: 'Back it up with pg_dump -Fc, and the bucket with its own versions or replication',
      })
    }
    const dataDir = dataDirOf(flags.data, io)
    const file = join(resolve(io.cwd, dataDir), STORE_FILE)
    if (!existsSync(file)) {
      throw new CordboardError('unknown_object', `There is no store in ${dataDir}`, {
        fix: 'Name the data folder with --data DIR',
      })
    }
    const { bytes } = await backupStore(file, resolve(io.cwd, name))
    if (flags.json) io.json({ file: name, bytes })
    else io.out(`${name}, ${Math.ceil(bytes / 1024)} KB. Copy ${join(dataDir, 'media')} now, if it is there.`)
    return EXIT.ok
  },
})
