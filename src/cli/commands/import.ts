import { createWriteStream } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { spreadsheetLine } from '../../connector/csv.ts'
import type { Batch, Page, RowVerdict } from '../answers.ts'
import { defineCommand, jsonOption, targetOptions } from '../command.ts'
import { EXIT } from '../exit.ts'
import { type Part, partsOf } from '../import/parts.ts'
import { handIn } from '../import/upload.ts'
import type { Io } from '../io.ts'
import { wrong } from '../parse.ts'
import { bytesText, createProgress, type Progress } from '../progress.ts'
import { table } from '../table.ts'
import { openTarget, type Target } from '../target.ts'
import { untilInterrupted } from '../until-stopped.ts'

const LOOK_MS = 500
const PAGE = '200'
/** Of refused rows on a terminal; the others are counted. */
const MOST_SHOWN = 20

export const command = defineCommand({
  usage: 'import <calls.csv> [--audio FOLDER|ZIP] [--verdicts FILE] | --stop ID',
  about:
    'Hands in the calls of a CSV, with their recordings from a folder or a ZIP. Cut off, the same command goes on; a row that was taken makes no second call.',
  examples: [
    ['cordboard import calls.csv --audio recordings/', 'rows whose audio_file_name is a file of this folder'],
    ['cordboard import calls.csv --audio audios.zip --verdicts verdicts.csv', 'and what became of each row'],
    ['cordboard import transcripts.csv --url https://calls.example.com', 'to a server elsewhere'],
  ],
  options: {
    audio: { type: 'string', value: 'PATH', about: 'folder or ZIP with the recordings that the rows name' },
    connection: { type: 'string', value: 'ID', about: 'which takes them; needed where there are several' },
    verdicts: { type: 'string', value: 'FILE', about: 'writes what became of each row, as a CSV' },
    stop: { type: 'string', value: 'ID', about: 'take no more rows of this batch; those before are taken' },
    ...jsonOption,
    ...targetOptions,
  },
  args: [0, 1],
  async run({ flags, args: [path], io }) {
    if (path === undefined && flags.stop === undefined) throw wrong('import', 'import needs a CSV')
    const target = await openTarget(flags, io)
    if (typeof target === 'number') return target
    if (flags.stop !== undefined) return stopped(target, flags.stop, flags.json === true, io)
    const signal = untilInterrupted()
    const progress = createProgress(io)
    const told = createTold(io, flags.json === true, flags.verdicts && resolve(io.cwd, flags.verdicts))
    try {
      const audio = flags.audio === undefined ? undefined : resolve(io.cwd, flags.audio)
      for await (const part of partsOf(resolve(io.cwd, path ?? ''), audio)) {
        const batch = await upload(target, part, flags.connection, progress, signal)
        if (!target.works) {
          told.waits(batch)
          continue
        }
        await told.ended(await untilEnded(target, batch, progress, signal), part, target)
      }
      return await told.all(target.works)
    } catch (error) {
      if (!signal.aborted) throw error
      progress.end()
      io.err('Stopped; the same command goes on')
      return EXIT.interrupted
    } finally {
      progress.end()
      await target.close()
    }
  },
})

async function stopped(target: Target, id: string, json: boolean, io: Io): Promise<number> {
  try {
    const batch: Batch = await target.post(`/v1/batches/${encodeURIComponent(id)}/stop`, {})
    const { taken, known, refused } = batch.rows
    if (json) io.json(batch)
    else io.out(`${id} was stopped at line ${batch.line}: ${taken} taken, ${known} known, ${refused} refused`)
    return EXIT.ok
  } finally {
    await target.close()
  }
}

function upload(
  target: Target,
  part: Part,
  connection: string | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<Batch> {
  const all = part.csv.bytes + (part.zip?.bytes ?? 0)
  let done = 0
  const sent = (bytes: number) => {
    done += bytes
    progress.show('upload', done / all, `${bytesText(done)} of ${bytesText(all)}`)
  }
  return handIn(target, part, connection, { signal, sent })
}

async function untilEnded(
  target: Target,
  begun: Batch,
  progress: Progress,
  signal: AbortSignal,
): Promise<Batch> {
  let batch = begun
  while (batch.state !== 'done' && batch.state !== 'failed') {
    const { taken, known, refused } = batch.rows
    const waits = batch.waits ? `   waits: ${batch.waits.code}` : ''
    const says = `new ${taken} · known ${known} · refused ${refused}${waits}`
    progress.show('rows  ', batch.bytes.read / batch.bytes.csv, says)
    await sleep(LOOK_MS, undefined, { signal })
    batch = await target.get(`/v1/batches/${batch.id}`)
  }
  progress.end()
  return batch
}

/** What people are told of it: results on stdout, the rest beside it. */
function createTold(io: Io, json: boolean, file: string | undefined) {
  const out = file ? createWriteStream(file) : null
  out?.write(spreadsheetLine(['line', 'verdict', 'call', 'code', 'says']))
  const sum = { taken: 0, known: 0, refused: 0 }
  const failures: string[] = []
  const refused: string[][] = []
  let waiting = 0

  return {
    waits({ id }: Batch): void {
      waiting += 1
      if (json) io.json({ batch: id, state: 'waiting' })
    },
    async ended({ id, state, reason, rows }: Batch, { before }: Part, target: Target): Promise<void> {
      for (const name of ['taken', 'known', 'refused'] as const) sum[name] += rows[name]
      if (state === 'failed') failures.push(inFile(reason ?? 'it failed', before))
      const wanted = json || out ? {} : { verdict: 'refused' }
      for await (const row of verdictsOf(target, id, wanted)) {
        const line = row.line + before
        const says = row.says === null ? null : inFile(row.says, before)
        if (json) io.json({ ...row, line, says })
        out?.write(spreadsheetLine([String(line), row.verdict, row.callId ?? '', row.code ?? '', says ?? '']))
        if (row.verdict !== 'refused') continue
        refused.push([`line ${line}`, says ?? row.code ?? ''])
        if (refused.length > MOST_SHOWN && !json && !out) break
      }
    },
    async all(works: boolean): Promise<number> {
      if (out) await new Promise<void>((done, fail) => out.on('error', fail).end(done))
      if (!works) {
        io.err(
          `${waiting === 1 ? 'Its rows are' : `${waiting} batches are`} taken when the server starts: cordboard serve`,
        )
        io.err('Then the same command says what became of them')
        return EXIT.ok
      }
      if (!json) {
        for (const line of table(refused.slice(0, MOST_SHOWN))) io.out(line)
        const more = sum.refused - Math.min(refused.length, MOST_SHOWN)
        if (more > 0) io.out(`and ${more} more: --verdicts FILE`)
        io.out(`${sum.taken} taken, ${sum.known} known before, ${sum.refused} refused`)
      }
      for (const failure of failures) io.err(`${io.paintErr('red', '✖')} ${failure}`)
      if (sum.taken > 0) io.err('Next: cordboard calls')
      return sum.refused > 0 || failures.length > 0 ? EXIT.failed : EXIT.ok
    },
  }
}

/** Lines of a piece, as those of the whole file. */
const inFile = (text: string, before: number) =>
  before === 0
    ? text
    : text.replace(/\b([Ll]ine) (\d+)/g, (_, word, line) => `${word} ${Number(line) + before}`)

async function* verdictsOf(
  target: Target,
  id: string,
  wanted: { verdict?: string },
): AsyncGenerator<RowVerdict, void> {
  let next: string | null = null
  do {
    const cursor: { cursor?: string } = next === null ? {} : { cursor: next }
    const page: Page<RowVerdict> = await target.get(`/v1/batches/${id}/rows`, {
      ...wanted,
      ...cursor,
      limit: PAGE,
    })
    yield* page.items
    next = page.next
  } while (next !== null)
}
