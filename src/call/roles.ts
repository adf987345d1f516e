/**
 * Transcripts as text: who said what is marked by tags (`<operator> … <client> …`) or by labels (`Operator: …`).
 *
 * Services localise both, so names are compared by Unicode case folding against one list. A speaker that is only
 * numbered (`Խոսնակ 1:`) stays party `other` with the label: who that is must come from the tracks, never from a guess.
 *
 * Every look at the text is a bounded window around one delimiter, so the work is linear whatever the text is.
 */

export type Party = 'agent' | 'customer' | 'other'

/** One turn of speech. `label` is there when it says more than the party; times are milliseconds into the call. */
export type Turn = { party: Party; label?: string; text: string; startMs?: number; endMs?: number }

const NAMES: Record<Party, string> = {
  agent:
    'operator оператор operador operadora opérateur opératrice operatör օպերատոր agent agente агент менеджер manager ' +
    'consultant консультант mitarbeiter',
  customer:
    'client клиент абонент mijoz мижоз cliente кардар customer caller клієнт kunde müşteri müştəri հաճախորդ тұтынушы ' +
    'мизоҷ',
  other:
    "խոսնակ speaker спикер говорящий диктор мовець spk locuteur sprecher hablante falante so'zlovchi other",
}

/** Letters that differ only in case become the same: 'ß' and 'SS', 'İ' and 'i', 'Օ' and 'օ'. */
const fold = (name: string): string =>
  name.normalize('NFKC').toUpperCase().toLowerCase().replaceAll('\u0307', '').replaceAll('’', "'")

const PARTIES = new Map<string, Party>(
  (Object.keys(NAMES) as Party[]).flatMap((party) =>
    NAMES[party].split(' ').map((name) => [fold(name), party]),
  ),
)

/** No name with its number is longer; a longer tag or label is text. */
const MAX_NAME = 32

/** One word at the end of the window, perhaps numbered (`Speaker 2`, `Speaker B`), perhaps bold as in Markdown. */
const LABEL = /(?:^|[^\p{L}\p{M}\p{N}_'’])([\p{L}\p{M}'’]+(?:[ _-]?\d{1,3}|[ _-]\p{Lu})?)\**$/u

/** A place where the speaker changes: the mark stands at `start`, the words begin at `end`. */
type Mark = { start: number; end: number; party: Party; label?: string }

/** For tests of linearity: counts the characters looked at beside the two scans for delimiters. */
export type Work = { chars: number }

/** Tags win: in a tagged text a colon is only a colon. Without any mark the whole text is one turn of `other`. */
export function parseTranscript(text: string, work: Work = { chars: 0 }): Turn[] {
  const tags = findTags(text, work)
  const marks = tags.length > 0 ? tags : findLabels(text, work)
  const turns: Turn[] = []
  const add = (mark: Omit<Mark, 'start' | 'end'>, from: number, to: number): void => {
    const words = text.slice(from, to).trim()
    if (words === '') return
    turns.push({ party: mark.party, ...(mark.label === undefined ? {} : { label: mark.label }), text: words })
  }
  add({ party: 'other' }, 0, marks[0]?.start ?? text.length)
  for (const [i, mark] of marks.entries()) add(mark, mark.end, marks[i + 1]?.start ?? text.length)
  return turns
}

/**
 * The tag form for services that take text, one turn a line. Nothing is escaped, since the services know no escapes,
 * and turns without words are left out, since they refuse empty ones. `other` is the tag of speakers unknown.
 */
export function formatTranscript(
  turns: readonly Pick<Turn, 'party' | 'text'>[],
  tags: { agent: string; customer: string; other?: string } = { agent: 'operator', customer: 'client' },
): string {
  return turns
    .map((turn) => ({ tag: tags[turn.party] ?? 'other', words: turn.text.replace(/\s+/g, ' ').trim() }))
    .filter(({ words }) => words !== '')
    .map(({ tag, words }) => `<${tag}> ${words}`)
    .join('\n')
}

function findTags(text: string, work: Work): Mark[] {
  const marks: Mark[] = []
  for (let open = text.indexOf('<'); open >= 0; open = text.indexOf('<', open + 1)) {
    const window = text.slice(open + 1, open + 3 + MAX_NAME)
    work.chars += window.length
    const close = window.indexOf('>')
    if (close < 0) continue
    const isClosing = window.startsWith('/')
    const speaker = whose(window.slice(isClosing ? 1 : 0, close))
    if (!speaker) continue
    // After a closing tag nobody is speaking: words there are kept, but belong to no known party.
    marks.push({ start: open, end: open + close + 2, ...(isClosing ? { party: 'other' as const } : speaker) })
  }
  return marks.some((mark) => text[mark.start + 1] !== '/') ? marks : []
}

function findLabels(text: string, work: Work): Mark[] {
  const marks: Mark[] = []
  for (const { index } of text.matchAll(/[:：]/g)) {
    const window = text.slice(Math.max(0, index - MAX_NAME), index)
    work.chars += window.length
    const written = LABEL.exec(window)?.[1]
    const speaker = written === undefined ? null : whose(written)
    if (written === undefined || !speaker) continue
    const start = index - window.length + window.lastIndexOf(written)
    const before = text.slice(Math.max(0, start - 8), start)
    const opensLine = /(?:^|[\n\r\u2028])[\s>*•\p{Pd}]*$/u.test(start <= 8 ? `\n${before}` : `.${before}`)
    // Amid a line "the operator: …" is speech. A label there is capitalised or numbered, and its text opens with one.
    if (!opensLine && (marks.length === 0 || !/^\p{Lu}|\d$/u.test(written))) continue
    const decoration = (opensLine ? /[\s>*•\p{Pd}]*$/u : /\**$/).exec(before)?.[0].length ?? 0
    const end = index + (text.startsWith('**', index + 1) ? 3 : 1)
    marks.push({ start: start - decoration, end, ...speaker })
  }
  return marks
}

/** The party that a name stands for, numbered or not: `Operator`, `operator 2`, `Խոսնակ 1`, `SPK_0`, `Speaker B`. */
function whose(written: string): { party: Party; label?: string } | null {
  const name = written.trim()
  const word = name.replace(/[ _-]?\d{1,3}$|[ _-]\p{Lu}$/u, '')
  const party = PARTIES.get(fold(word))
  if (!party) return null
  return party === 'other' || word !== name ? { party, label: name } : { party }
}
