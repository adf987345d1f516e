import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { read, root } from './checkout.ts'

/** A project as an operator has it, bundled by wrangler with this checkout's settings, as it would be deployed. */

export const WRANGLER = join(root, 'node_modules/wrangler/bin/wrangler.js')

export interface WorkerBundle extends Disposable {
  /** The one file that would be deployed. */
  file: string
  text: string
  /** Paths of what it was made from, with the bytes that are left of each. */
  parts: ReadonlyMap<string, number>
}

/** `config`: the text of `cordboard.config.ts`. */
export async function bundleWorker(config: string): Promise<WorkerBundle> {
  const folder = mkdtempSync(join(tmpdir(), 'cordboard-worker-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    writeFileSync(join(folder, 'cordboard.config.ts'), config)
    writeFileSync(join(folder, 'wrangler.toml'), workerSettings())
    const args = [WRANGLER, 'deploy', '--dry-run', '--outdir', 'out', '--metafile', 'out/meta.json']
    await promisify(execFile)(process.execPath, args, { cwd: folder, env: offline(folder) })
    const file = join(folder, 'out/worker.js')
    const meta: Meta = JSON.parse(readFileSync(join(folder, 'out/meta.json'), 'utf8'))
    const inputs = Object.values(meta.outputs).flatMap(({ inputs }) => Object.entries(inputs))
    return {
      file,
      text: readFileSync(file, 'utf8'),
      parts: new Map(inputs.map(([path, { bytesInOutput }]) => [path, bytesInOutput])),
      [Symbol.dispose]: remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

interface Meta {
  outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }>
}

/** wrangler.toml, seen from another folder. */
export function workerSettings(): string {
  const command = `${process.execPath} ${join(root, 'bin/cordboard.js')}`
  const text = read('wrangler.toml').replace('npx cordboard', command)
  return text.replaceAll('"./src/', `"${root.replace(/\/?$/, '/')}src/`)
}

/** Without a look into the network, a count of its use, or a trace in the home folder. */
export function offline(folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    XDG_CONFIG_HOME: join(folder, 'wrangler'),
  }
}

/** A phone system, an analysis service and a CRM: the size and the start of a Worker are told for these three. */
export const THREE_CONNECTORS = `import { defineConfig, secret } from 'cordboard'

export default defineConfig({
  publicUrl: 'https://calls.example.com',
  connections: {
    phone: {
      use: 'twilio',
      accountSid: 'AC00000000000000000000000000000000',
      authToken: secret('TWILIO_AUTH_TOKEN'),
    },
    xosum: { use: 'xosum', apiKey: secret('XOSUM_API_KEY') },
    crm: { use: 'hubspot', token: secret('HUBSPOT_TOKEN') },
  },
  flows: [{ from: ['phone'], when: (call) => (call.talkMs ?? 0) > 15_000, analyze: ['xosum'], write: ['crm'] }],
})
`
