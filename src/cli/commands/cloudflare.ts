import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { readRawConfig } from '../../node/config-file.ts'
import { configOption, defineCommand } from '../command.ts'
import { noConfiguration } from '../configured.ts'
import { EXIT } from '../exit.ts'
import { printConfigProblems } from '../failure.ts'
import { bundleWorker } from '../worker-bundle.ts'
import { namedConnectors, problemsWithoutSecrets, workerModule } from '../worker-module.ts'

export const command = defineCommand({
  usage: 'cloudflare [--config FILE] [--out FOLDER]',
  about:
    'Bundles the Worker that wrangler deploys: the configuration with the connectors that it names, and no others. The build command of wrangler.toml runs it. Secrets are not needed here: they are bindings of the Worker.',
  examples: [['cordboard cloudflare', 'writes .cordboard/worker/worker.mjs from cordboard.config.ts']],
  options: {
    ...configOption,
    out: { type: 'string', value: 'FOLDER', about: 'default .cordboard/worker' },
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
    const folder = resolve(io.cwd, flags.out ?? '.cordboard/worker')
    const module = `${folder}.ts`
    const connectors = namedConnectors(value)
    const text = workerModule({ file: module, config: found.file, connectors })
    mkdirSync(dirname(module), { recursive: true })
    if (!existsSync(module) || readFileSync(module, 'utf8') !== text) writeFileSync(module, text)
    const { gzipBytes, meta } = await bundleWorker(module, folder)
    writeFileSync(`${folder}.meta.json`, JSON.stringify(meta))
    const size = `${Math.round(gzipBytes / 1024)} KB gzip`
    const main = relative(io.cwd, join(folder, 'worker.mjs'))
    io.out(`${main}: ${shown} with ${connectors.join(', ') || 'no connectors'}, ${size}`)
    return EXIT.ok
  },
})
