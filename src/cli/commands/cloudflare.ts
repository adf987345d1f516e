import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { readRawConfig } from '../../node/config-file.ts'
import { configOption, defineCommand } from '../command.ts'
import { noConfiguration } from '../configured.ts'
import { EXIT } from '../exit.ts'
import { printConfigProblems } from '../failure.ts'
import { namedConnectors, problemsWithoutSecrets, workerModule } from '../worker-module.ts'

export const command = defineCommand({
  usage: 'cloudflare [--config FILE] [--out FILE]',
  about:
    'Writes the module that wrangler bundles: the configuration with the connectors that it names, and no others. The build command of wrangler.toml runs it. Secrets are not needed here: they are bindings of the Worker.',
  examples: [['cordboard cloudflare', 'writes .cordboard/worker.ts from cordboard.config.ts']],
  options: {
    ...configOption,
    out: { type: 'string', value: 'FILE', about: 'default .cordboard/worker.ts' },
  },
  args: [0, 0],
  async run({ flags, io }) {
    const found = await readRawConfig(flags.config, io.cwd)
    if (!found) throw noConfiguration()
    const shown = relative(io.cwd, found.file)
    if ('problem' in found.raw) return printConfigProblems(shown, [found.raw.problem], io)
    const { value } = found.raw
    const problems = await problemsWithoutSecrets(value, await import('../../../connectors/index.ts'))
    if (problems.length > 0) return printConfigProblems(shown, problems, io)
    const file = resolve(io.cwd, flags.out ?? '.cordboard/worker.ts')
    const connectors = namedConnectors(value)
    const text = workerModule({ file, config: found.file, connectors })
    // Written only when it differs: wrangler dev watches it.
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
    io.out(`${relative(io.cwd, file)}: ${shown} with ${connectors.join(', ') || 'no connectors'}`)
    return EXIT.ok
  },
})
