import { summary } from '../commands/config.ts'
import type { Configured } from '../configured.ts'
import type { Finding } from './finding.ts'

export function configFindings({ file, config }: Configured): Finding[] {
  const used = new Set(config.flows.flatMap(({ from, analyze, write }) => [...from, ...analyze, ...write]))
  const idle = [...config.connections.keys()].filter((id) => !used.has(id))
  return [
    { level: 'ok', area: 'config', says: summary({ file, config }) },
    ...idle.map(
      (id): Finding => ({
        level: 'warning',
        area: 'config',
        connection: id,
        says: 'is in no flow: what it brings is stored and goes nowhere',
        fix: 'Name it in a flow, or remove it',
      }),
    ),
  ]
}
