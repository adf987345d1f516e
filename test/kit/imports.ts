import { zipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { createWebSigner } from '../../src/connector/web-signer.ts'
import type { Media } from '../../src/media/port.ts'
import { importRow, importStep } from '../../src/pipeline/import.ts'
import { createImport, putFile, startImport } from '../../src/pipeline/import-begin.ts'
import type { Running } from '../../src/pipeline/step.ts'
import type { Query, Store } from '../../src/store/port.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

/** What an import does with every database and every media store: rows taken, verdicts, a worker that dies. */

const COUNT = 120
const text = (content: string) => new TextEncoder().encode(content)
const bytesOf = (content: Uint8Array) => new Blob([new Uint8Array(content)]).stream()

/** A WAV of nothing, each of another length. */
function wav(samples: number): Uint8Array {
  const bytes = new Uint8Array(44 + samples)
  const view = new DataView(bytes.buffer)
  for (const [at, word] of [
    [0, 'RIFF'],
    [8, 'WAVE'],
    [12, 'fmt '],
    [36, 'data'],
  ] as const)
    bytes.set(text(word), at)
  const numbers = [
    [4, 36 + samples],
    [16, 16],
    [24, 8000],
    [28, 8000],
    [40, samples],
  ] as const
  for (const [at, value] of numbers) view.setUint32(at, value, true)
  for (const [at, value] of [
    [20, 1],
    [22, 1],
    [32, 1],
    [34, 8],
  ] as const)
    view.setUint16(at, value, true)
  return bytes
}

export function importsKit(name: string, open: () => Promise<{ store: Store; media: Media }>): void {
  describe(`imports, ${name}`, () => {
    it('take each row once, whoever dies in between, and say what became of it', async () => {
      const { store, media } = await open()
      const connection = { id: 'uploads' }
      const deps = {
        config: { publicUrl: undefined },
        store,
        media,
        signer: createWebSigner(),
        now: Date.now,
        random: Math.random,
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
        metrics: createMetrics(),
        queue: { wake: () => undefined },
      } as unknown as Running['deps']
      let deaths = 0
      const running = (subject: string, dies: (queries: readonly Query[]) => boolean): Running =>
        ({
          deps,
          connection,
          step: { subject },
          signal: new AbortController().signal,
          commit: async (queries: readonly Query[]) => {
            if (dies(queries)) throw new Error('died')
            return store.atomic([], queries)
          },
        }) as unknown as Running
      const work = async (id: string) => {
        for (let n = 0; n < 100; n += 1) {
          // Now and then the worker dies before its commit: what it had taken in is stored.
          const dies = () => n % 4 === 1
          const outcome = await importStep(running(id, dies)).catch((error: Error) => error.message)
          if (outcome === 'died') deaths += 1
          else if (typeof outcome === 'string') throw new Error(outcome)
          else {
            if (outcome.queries) await store.atomic([], outcome.queries)
            if ('done' in outcome) return
          }
        }
        throw new Error('it does not end')
      }

      const files = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`${n}.wav`, wav(n + 1)]))
      const rows = Array.from({ length: COUNT }, (_, n) =>
        n % 10 === 0 ? `${n / 10}.wav,,${n}` : `,busy,${n}`,
      )
      const csv = ['audio_file_name,result,partner_call_id', ...rows, 'gone.wav,,x', ',busy,1'].join('\n')
      const handIn = async () => {
        const { id } = await createImport(deps, {
          connection: 'uploads',
          actor: 'test',
          key: undefined,
          archive: true,
        })
        await putFile(deps, await importRow(deps, id), 'csv', bytesOf(text(csv)))
        await putFile(deps, await importRow(deps, id), 'zip', bytesOf(zipSync(files)))
        await startImport(deps, id)
        await work(id)
        const row = await importRow(deps, id)
        return { ...row, counts: [row.taken, row.known, row.refused].map(Number) }
      }
      const first = await handIn()
      expect([first.state, first.counts, deaths > 0]).toEqual(['done', [COUNT, 1, 1], true])
      expect((await handIn()).counts).toEqual([0, COUNT + 1, 1])
      const deliveries = await store.db.selectFrom('deliveries').select('id').execute()
      const verdicts = await store.db
        .selectFrom('import_rows')
        .select(['line', 'verdict'])
        .where('import_id', '=', first.id)
        .orderBy('line')
        .execute()
      expect([deliveries.length, verdicts.length]).toEqual([COUNT, COUNT + 2])
      expect(verdicts.slice(-2).map(({ line, verdict }) => `${line} ${verdict}`)).toEqual([
        `${COUNT + 2} refused`,
        `${COUNT + 3} known`,
      ])
      expect(await store.db.selectFrom('import_files').selectAll().execute()).toEqual([])
      expect([await media.get(`${first.id}_csv`), await media.get(`${first.id}_zip`)]).toEqual([null, null])
    })
  })
}
