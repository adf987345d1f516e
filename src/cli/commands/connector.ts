import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CordboardError } from '../../errors.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { ownPackage } from '../package-folder.ts'
import { wrong } from '../parse.ts'

export const command = defineCommand({
  usage: 'connector new|test <vendor>',
  about:
    'Makes the folder of a new connector; runs the connector kit. Both work in a checkout of the repository.',
  examples: [
    ['cordboard connector new acme-voice', 'connectors/acme-voice, with a failing kit as to-do list'],
    ['cordboard connector test acme-voice', 'the kit on that folder'],
  ],
  options: {},
  args: [2, 2],
  async run({ args: [verb, vendor = ''], io }) {
    if (verb !== 'new' && verb !== 'test') throw wrong('connector', `connector has no word ${verb}`)
    if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(vendor)) {
      throw wrong(
        'connector',
        `${vendor} is no name for a connector`,
        'Use lower-case letters, digits and "-"',
      )
    }
    const root = ownPackage().folder
    if (!existsSync(join(root, 'test/connectors.test.ts'))) throw noCheckout()
    return verb === 'new' ? make(vendor, root, io) : test(vendor, root)
  },
})

function noCheckout(): CordboardError {
  return new CordboardError('bad_request', 'This is the published package: it carries no connector kit', {
    fix: 'Clone the repository, then run: npx cordboard connector new <vendor>',
  })
}

async function make(vendor: string, root: string, io: Io): Promise<number> {
  const { newConnector } = await import('../../../scripts/new-connector.ts')
  const { files, remaining } = await newConnector(vendor, pathToFileURL(`${root}/`))
  for (const file of files) io.out(file)
  io.err('What is left to you:')
  for (const line of remaining) io.err(`  ${line}`)
  return EXIT.ok
}

function test(vendor: string, root: string): number {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const words = [vitest, 'run', 'test/connectors.test.ts', '-t', vendor]
  const { status } = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' })
  return status === 0 ? EXIT.ok : EXIT.failed
}
