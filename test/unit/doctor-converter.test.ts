import { expect, test } from 'vitest'
import { connectorIds, loadConnector } from '../../connectors/index.ts'
import { converterFindings } from '../../src/cli/doctor/converter.ts'
import { loadConfig } from '../../src/config/load.ts'

const CONNECTIONS = {
  pbx: { use: 'generic', secret: 'whsec_c2FuZGJveC1nZW5lcmljLXNlY3JldC0wMDE=' },
  xosum: { use: 'xosum', apiKey: 'xosum-key' },
  transcripto: { use: 'transcripto', baseUrl: 'https://t.example.com', token: 'token' },
}

async function configWith(...analyze: string[]) {
  const file = { connections: CONNECTIONS, flows: [{ name: 'f', from: ['pbx'], analyze, write: [] }] }
  const loaded = await loadConfig(file, {
    connectors: { ids: connectorIds, load: loadConnector },
    resolveSecret: () => undefined,
    plainSecrets: true,
  })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

test('ffmpeg is spoken of where a service does not take all that is recorded, and only there', async () => {
  const narrow = await configWith('transcripto', 'xosum')
  expect(converterFindings(narrow, '/usr/bin/ffmpeg')).toEqual([
    expect.objectContaining({
      level: 'ok',
      says: expect.stringMatching(/^\/usr\/bin\/ffmpeg .* for xosum /),
    }),
  ])
  expect(converterFindings(narrow, null)).toEqual([
    expect.objectContaining({ level: 'warning', fix: expect.stringContaining('apt-get install ffmpeg') }),
  ])
  expect(converterFindings(await configWith('transcripto'), null)).toEqual([])
})
