import { describe, expect, test } from 'vitest'
import type { Analysis } from '../../src/call/analysis.ts'
import { transcriptText } from '../../src/connector/crm-report.ts'
import type { CrmRecord, PlannedPart } from '../../src/connector/crm-role.ts'
import { SAMPLE_ANALYSIS } from '../kit/connector/samples.ts'
import { cutOff, failureOf, type World } from '../kit/connector/world.ts'
import {
  ask,
  books,
  type Context,
  connectorCheck,
  crm,
  ctxOf,
  fresh,
  mapContext,
  open,
  partOf,
  recordOf,
  type Settings,
} from './hubspot-world.ts'

const LONG: Analysis = {
  ...SAMPLE_ANALYSIS,
  transcript: {
    turns: Array.from({ length: 4000 }, (_, n) => ({
      party: n % 2 ? ('agent' as const) : ('customer' as const),
      text: `Line ${n}: Zoë said "<&>" 📞, and a few more words so that it is long`,
      startMs: n * 1000,
    })),
  },
}
const keys = (analysis: Analysis | null, settings: Settings) =>
  crm.plan(recordOf({}, analysis), mapContext(settings)).map(({ key }) => key)

describe('HubSpot’s own view of a transcript', () => {
  const timed: Analysis = {
    transcript: {
      turns: [
        { party: 'agent', text: 'Good morning', startMs: 0, endMs: 900 },
        { party: 'customer', text: 'My invoice is wrong', startMs: 1000, endMs: 2500 },
      ],
    },
  }
  const settings = { transcriptsExtension: true }

  test('is handed over after the call, with who spoke when', async () => {
    const world = await open(settings)
    const record = recordOf({}, timed)
    const parts = crm.plan(record, mapContext(settings))
    expect(parts.map(({ key }) => key)).toEqual(['call', 'utterances'])
    const call = await crm.write(fresh(partOf(parts, 'call')), record, {}, ctxOf(world))
    const part = partOf(parts, 'utterances')
    const written = { call: call.id }
    expect(await crm.find?.(fresh(part), record, written, ctxOf(world))).toBeNull()
    const { id } = await crm.write(fresh(part), record, written, ctxOf(world))
    const { hs_call_transcript } = books(world, 'call')[0]?.fields ?? {}
    expect(JSON.parse(String(hs_call_transcript))).toEqual({
      engagementId: Number(call.id),
      transcriptCreateUtterances: [
        {
          speaker: { id: 'agent', name: 'Alice Martin', email: 'alice.martin@example.com' },
          text: 'Good morning',
          startTimeMillis: 0,
          endTimeMillis: 900,
        },
        {
          speaker: { id: 'customer', name: 'Jean Dupont' },
          text: 'My invoice is wrong',
          startTimeMillis: 1000,
          endTimeMillis: 2500,
        },
      ],
    })
    expect(await crm.find?.(fresh(part), record, written, ctxOf(world))).toBe(id)
    const asked = world.requests()
    expect(await crm.write(fresh(part, id), record, written, ctxOf(world))).toEqual({ id })
    expect(world.requests()).toBe(asked)
  })

  test('times are not made up, and it is off unless the operator says so', () => {
    const [first, second] = timed.transcript?.turns ?? []
    const { endMs: _, ...without } = second ?? expect.fail('no turn')
    const turns = [first ?? expect.fail('no turn'), without]
    expect(keys({ transcript: { turns } }, settings)).toEqual(['call'])
    expect(keys(timed, {})).toEqual(['call'])
    expect(keys({ transcript: { turns: [] } }, settings)).toEqual(['call'])
  })

  test('a token that may not is told by the check, and one that may is not', async () => {
    const scopes = ['crm.objects.contacts.read', 'crm.objects.companies.read', 'crm.objects.owners.read']
    const fixes = async (given: string[]) =>
      (await connectorCheck(await open({ ...settings, scopes: given }))).join()
    expect(await fixes(scopes)).toContain('Grant crm.extensions_calling_transcripts.read')
    expect(await fixes([...scopes, 'crm.extensions_calling_transcripts.read'])).toBe('')
  })
})

describe('the whole transcript', () => {
  const cases: [string, Analysis | null, Settings, boolean][] = [
    ['a short one in the note', SAMPLE_ANALYSIS, { transcript: true }, false],
    ['a long one that the note should hold', LONG, { transcript: true }, true],
    ['a long one that nobody asked for', LONG, {}, false],
    ['a long one that must not be attached', LONG, { transcript: true, file: false }, false],
    ['a short one that is to be attached', SAMPLE_ANALYSIS, { file: true }, true],
    ['none', { ...SAMPLE_ANALYSIS, transcript: undefined } as Analysis, { file: true }, false],
    ['no analysis', null, { file: true }, false],
  ]
  test.each(cases)('%s is attached or not', (_, analysis, note, isAttached) => {
    const planned = keys(analysis, { note })
    expect(planned.includes('transcript')).toBe(isAttached)
    // The note needs the file's id.
    if (isAttached) expect(planned.indexOf('transcript')).toBeLessThan(planned.indexOf('note'))
  })

  test('it is attached to a note that says nothing else', () => {
    const only = { transcript: { turns: [{ party: 'agent' as const, text: 'Good morning' }] } }
    expect(keys(only, { note: { file: true } })).toEqual(['call', 'transcript', 'note'])
  })

  async function written(settings: Settings = {}) {
    const world = await open({ note: { transcript: true }, ...settings })
    const id = world.sandbox.addContact?.({ name: 'Jean', phone: '+33639980142' }) ?? ''
    const record: CrmRecord = { ...recordOf({}, LONG), target: { type: 'contact', id } }
    const parts = crm.plan(record, mapContext({ note: { transcript: true }, ...settings }))
    return { world, record, parts, ctx: ctxOf(world) }
  }
  type Ready = Awaited<ReturnType<typeof written>>
  const put = ({ record, ctx }: Ready, part: PlannedPart, done: Record<string, string>, id?: string) =>
    crm.write(fresh(part, id ?? null), record, done, ctx)
  const noteOf = (world: World) => books(world, 'note')[0]?.fields ?? {}

  test('of 300 KB it ends up whole, private and in its folder, and the note points at it', async () => {
    const ready = await written({ note: { transcript: true, folder: '/calls/texts' } })
    const file = await put(ready, partOf(ready.parts, 'transcript'), {})
    await put(ready, partOf(ready.parts, 'note'), { transcript: file.id })
    const text = transcriptText(LONG) ?? ''
    expect(text.length).toBeGreaterThan(200_000)
    expect(books(ready.world, 'file')).toEqual([
      {
        kind: 'file',
        id: file.id,
        key: 'wbk_1-transcript.txt',
        fields: { name: 'wbk_1-transcript.txt', folder: '/calls/texts', access: 'PRIVATE', text },
      },
    ])
    expect(noteOf(ready.world)).toMatchObject({ hs_attachment_ids: file.id })
    expect(String(noteOf(ready.world).hs_note_body)).toContain('[Shortened')
  })

  test('a changed one is put into the same file, and what people attached to the note besides stays', async () => {
    const ready = await written()
    const file = await put(ready, partOf(ready.parts, 'transcript'), {})
    const note = await put(ready, partOf(ready.parts, 'note'), { transcript: file.id })
    const other = await put(ready, { key: 'other', kind: 'file', fields: { text: 'an offer' } }, {})
    await ask(ready.world, 'PATCH', `/crm/objects/2026-03/notes/${note.id}`, {
      properties: { hs_attachment_ids: `${other.id};${file.id}` },
    })
    const changed = { key: 'transcript', kind: 'file' as const, fields: { text: 'New words' } }
    expect(await put(ready, changed, {}, file.id)).toEqual(file)
    await put(ready, partOf(ready.parts, 'note'), { transcript: file.id }, note.id)
    expect(books(ready.world, 'file').map(({ fields }) => fields.text)).toEqual(['New words', 'an offer'])
    expect(noteOf(ready.world).hs_attachment_ids).toBe(`${other.id};${file.id}`)
  })

  test('sent again after an end that nobody saw, it takes the place of the first', async () => {
    const ready = await written()
    const part = partOf(ready.parts, 'transcript')
    ready.world.sandbox.fail({ fault: { kind: 'commit_then_hang' }, method: 'POST', path: '/files' })
    const lost = (signal: AbortSignal) =>
      crm.write(fresh(part), ready.record, {}, ready.world.context(signal) as Context)
    expect(await cutOff(lost)).toMatchObject({ code: 'timeout' })
    expect(await crm.find?.(fresh(part), ready.record, {}, ready.ctx)).toBeNull()
    const file = await put(ready, part, {})
    expect(books(ready.world, 'file').map(({ id }) => id)).toEqual([file.id])
  })

  test('a transcript that comes later is attached to the note that is there', async () => {
    const ready = await written({ note: { file: true } })
    const note = (analysis: Analysis) =>
      partOf(crm.plan(recordOf({}, analysis), mapContext({ note: { file: true } })), 'note')
    const { transcript: _, ...before } = SAMPLE_ANALYSIS
    // Its words are the same: the file alone makes it another note.
    expect(note(SAMPLE_ANALYSIS).fields.hs_note_body).toBe(note(before).fields.hs_note_body)
    expect(note(SAMPLE_ANALYSIS).fields).not.toEqual(note(before).fields)
    const { id } = await put(ready, note(before), {})
    const file = await put(ready, partOf(ready.parts, 'transcript'), {})
    await put(ready, note(SAMPLE_ANALYSIS), { transcript: file.id }, id)
    expect(noteOf(ready.world).hs_attachment_ids).toBe(file.id)
  })

  test('without the scope the part says what to grant, and so does the check', async () => {
    const scopes = ['crm.objects.contacts.read', 'crm.objects.contacts.write']
    const ready = await written({ scopes })
    expect(await failureOf(put(ready, partOf(ready.parts, 'transcript'), {}))).toMatchObject({
      code: 'forbidden',
      fix: expect.stringContaining('files'),
    })
    const fixes = async (note: Settings) => (await connectorCheck(await open({ scopes, note }))).join()
    expect(await fixes({ transcript: true })).toContain('Grant files')
    expect(await fixes({ file: true })).toContain('Grant files')
    expect(await fixes({ transcript: true, file: false })).not.toContain('Grant files')
    expect(await fixes({})).not.toContain('Grant files')
  })
})
