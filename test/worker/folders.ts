import type { ConnectorFolder } from '../kit/connector/folder.ts'

/** Connectors’ folders inside workerd, where no files are: read by vite when it bundles the tests. */

const texts = import.meta.glob<string>(['../../connectors/*/*', '../../connectors/*/fixtures/*.json'], {
  query: '?raw',
  import: 'default',
  eager: true,
})
const sandboxes = import.meta.glob('../../connectors/*/sandbox.ts')

export function folderOf(name: string): ConnectorFolder {
  const base = `../../connectors/${name}/`
  const inside = Object.entries(texts).flatMap(([path, text]) =>
    path.startsWith(base) ? [[path.slice(base.length), text] as const] : [],
  )
  const fixtures = inside.flatMap(([path, text]) =>
    path.startsWith('fixtures/') ? [[path.slice('fixtures/'.length), text] as const] : [],
  )
  return {
    name,
    files: [...new Set(inside.map(([path]) => path.replace(/\/.*/, '')))],
    readme: inside.find(([path]) => path === 'README.md')?.[1] ?? '',
    fixtures: Object.fromEntries(fixtures),
    sandbox: async () => sandboxes[`${base}sandbox.ts`]?.(),
  }
}
