/**
 * Speed and memory, told by `npm run bench -- <name> [--json]`, never asserted in a test: the machine decides. Each bench
 * prints a table and, as its last line, one JSON object.
 */
const BENCHES: Record<string, () => Promise<{ run(args: string[]): Promise<void> }>> = {
  ingest: () => import('./ingest.ts'),
  pipeline: () => import('./pipeline.ts'),
  recording: () => import('./recording.ts'),
  'worker-recording': () => import('./worker-recording.ts'),
  upload: () => import('./upload.ts'),
  list: () => import('./list.ts'),
  start: () => import('./start.ts'),
  wake: () => import('./wake.ts'),
  soak: () => import('./soak.ts'),
  worker: () => import('./worker.ts'),
  'worker-calls': () => import('./worker-calls.ts'),
}

const [name = '', ...args] = process.argv.slice(2)
const load = BENCHES[name]
if (load) {
  const bench = await load()
  await bench.run(args)
} else {
  console.error(`Usage: npm run bench -- <${Object.keys(BENCHES).join('|')}> [--json] [--profile cluster]`)
  process.exitCode = 2
}
