import type { Transcript } from './analysis.ts'
import type { Call } from './call.ts'

/**
 * Takes out of a text what says who is speaking: names of the parties, phone numbers, e-mail addresses, card numbers and
 * IBANs become tags (`[AGENT]`, `[PHONE_1]`), the same thing the same tag throughout. In doubt it takes too much. What is
 * spelled out in words stays, and so do names of people who are no parties of the call.
 *
 * Every pass looks at bounded windows around what it found, so the work is linear whatever the text is.
 */
export function redactTranscript(
  transcript: Transcript,
  call: Pick<Call, 'agent' | 'customer' | 'legs'>,
): Transcript {
  const redact = createRedactor({
    AGENT: [call.agent?.name, ...call.legs.map((leg) => leg.agent?.name)],
    CUSTOMER: [call.customer?.name],
  })
  return {
    turns: transcript.turns.map((turn) => ({
      ...turn,
      ...(turn.label === undefined ? {} : { label: redact(turn.label) }),
      text: redact(turn.text),
    })),
  }
}

/** The same for texts that belong together, given names by the tag that stands for them. */
export function createRedactor(
  names: Readonly<Record<string, readonly (string | undefined)[]>> = {},
): (text: string) => string {
  const known = new Map<string, string>()
  const counts = new Map<string, number>()
  const tagOf: TagOf = (kind, value) => {
    const key = `${kind} ${value}`
    const tag = known.get(key)
    if (tag !== undefined) return tag
    const nth = (counts.get(kind) ?? 0) + 1
    counts.set(kind, nth)
    known.set(key, `[${kind}_${nth}]`)
    return `[${kind}_${nth}]`
  }
  const redactNames = namesBy(names)
  return (text) => {
    const emails = redactEmails(text.normalize('NFC'), tagOf)
    const numbers = redactNumbers(redactIbans(emails, tagOf), tagOf)
    // A party may be called like a tag.
    return numbers
      .split(/(\[(?:EMAIL|IBAN|CARD|PHONE)_\d+\])/)
      .map((piece, i) => (i % 2 === 1 ? piece : redactNames(piece)))
      .join('')
  }
}

type TagOf = (kind: string, value: string) => string

// ── Names ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const MOST_NAMES = 50
const LONGEST_NAME = 128
/** Shorter parts (initials, "de", "al") are words of their own everywhere. */
const SHORTEST_PART = 3
const ESCAPED = /[\\^$.*+?()[\]{}|/]/g

/** Whole names and their parts, as words of their own, in any case, all in one pass. */
function namesBy(names: Readonly<Record<string, readonly (string | undefined)[]>>): (text: string) => string {
  const parties = Object.entries(names).flatMap(([tag, list]) => {
    const words = wordsOf(list)
    return words.length === 0 ? [] : [{ tag: `[${tag}]`, words: `(${words.join('|')})` }]
  })
  if (parties.length === 0) return (text) => text
  const either = parties.map(({ words }) => words).join('|')
  const pattern = new RegExp(`(?<![\\p{L}\\p{M}\\p{N}])(?:${either})(?![\\p{L}\\p{M}\\p{N}])`, 'giu')
  return (text) =>
    text.replace(pattern, (_, ...groups: unknown[]) => {
      const whose = groups.slice(0, parties.length).findIndex((group) => group !== undefined)
      return parties[whose]?.tag ?? ''
    })
}

/** As patterns, the longest first: a whole name is one tag. */
function wordsOf(names: readonly (string | undefined)[]): string[] {
  const words = new Set<string>()
  for (const name of names.slice(0, MOST_NAMES)) {
    const parts =
      (name ?? '')
        .slice(0, LONGEST_NAME)
        .normalize('NFC')
        .match(/[\p{L}\p{M}\p{N}'’-]+/gu) ?? []
    if (parts.length > 1) words.add(parts.map(inflected).join('[\\s,.]{1,3}'))
    for (const part of parts)
      if (part.length >= SHORTEST_PART && /\p{L}/u.test(part)) words.add(inflected(part))
  }
  return [...words].sort((a, b) => b.length - a.length)
}

/** Names in Cyrillic take endings: Иванов, Ивановым; Анна, Анне. */
function inflected(part: string): string {
  if (!/^\p{Script=Cyrillic}{4,}$/u.test(part)) return escaped(part)
  return `${part.replace(/[аеиоуыьэюяй]$/iu, '')}\\p{Script=Cyrillic}{0,3}`
}

const escaped = (text: string): string => text.replace(ESCAPED, '\\$&')

// ── E-mail addresses ────────────────────────────────────────────────────────────────────────────────────────────────

const LOCAL = /[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}$/u
const DOMAIN = /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/u

function redactEmails(text: string, tagOf: TagOf): string {
  const found: Span[] = []
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const local = LOCAL.exec(text.slice(Math.max(found.at(-1)?.end ?? 0, at - 64), at))?.[0]
    const domain = DOMAIN.exec(text.slice(at + 1, at + 256))?.[0]
    if (local === undefined || domain === undefined) continue
    const end = at + 1 + domain.length
    found.push({ start: at - local.length, end, tag: tagOf('EMAIL', `${local}@${domain}`.toLowerCase()) })
  }
  return replaced(text, found)
}

// ── IBANs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Length by country (SWIFT's registry of IBANs, release 99). */
const IBAN_LENGTHS = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 ' +
    'FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 ' +
    'LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 ' +
    'RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
)
/** Written in groups of four, or one letter after the other. */
const LONGEST_IBAN = 34 * 2

function redactIbans(text: string, tagOf: TagOf): string {
  const found: Span[] = []
  for (const { index: start } of text.matchAll(/(?<![\p{L}\p{N}])[A-Za-z][ -]?[A-Za-z][ -]?\d[ -]?\d/gu)) {
    if (start < (found.at(-1)?.end ?? 0)) continue
    const window = text.slice(start, start + LONGEST_IBAN)
    const wanted = IBAN_LENGTHS.get(window.replace(/[ -]/g, '').slice(0, 2).toUpperCase())
    if (wanted === undefined) continue
    let iban = ''
    let end = 0
    for (; end < window.length && iban.length < wanted; end += 1) {
      const char = window[end] ?? ''
      if (isPlain(char)) iban += char
      else if (char !== ' ' && char !== '-') break
    }
    iban = iban.toUpperCase()
    if (iban.length === wanted && isIban(iban))
      found.push({ start, end: start + end, tag: tagOf('IBAN', iban) })
  }
  return replaced(text, found)
}

const isPlain = (char: string): boolean =>
  (char >= '0' && char <= '9') || (char >= 'A' && char <= 'Z') || (char >= 'a' && char <= 'z')

/** ISO 13616: the first four stand last, letters are numbers from 10 on, and the whole is 1 modulo 97. */
function isIban(iban: string): boolean {
  let rest = 0
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(char, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}

// ── Numbers: cards and phones ───────────────────────────────────────────────────────────────────────────────────────

const PHONE_DIGITS = { least: 7, most: 15 }
const CARD_DIGITS = { least: 13, most: 19 }
/** Groups of digits with at most three signs between them; a plus begins a number. */
const GROUPS = /\d+/g
const BETWEEN = /^[\s().\u00a0\u202f/\p{Pd}-]{1,3}$/u

interface Group {
  start: number
  end: number
  digits: string
}
interface Span {
  start: number
  end: number
  tag: string
}

function redactNumbers(text: string, tagOf: TagOf): string {
  const found: Span[] = []
  let run: Group[] = []
  const flush = () => {
    if (run.length > 0) found.push(...numbersIn(text, run, tagOf))
    run = []
  }
  for (const { index: start, 0: digits } of text.matchAll(GROUPS)) {
    const last = run.at(-1)
    const isNext = last !== undefined && start - last.end <= 3 && BETWEEN.test(text.slice(last.end, start))
    if (!isNext) flush()
    run.push({ start, end: start + digits.length, digits })
  }
  flush()
  return replaced(text, found)
}

/** A number short enough for a phone is one whole. In a longer run cards come first, then phones between them. */
function numbersIn(text: string, run: readonly Group[], tagOf: TagOf): Span[] {
  const size = run.reduce((sum, { digits }) => sum + digits.length, 0)
  if (size <= PHONE_DIGITS.most) {
    const isCard = cardAt(run, 0) === run.length && text[(run[0]?.start ?? 0) - 1] !== '+'
    return isCard ? [spanOf(run, 'CARD', tagOf)] : phonesIn(text, run, tagOf)
  }
  const found: Span[] = []
  let rest: Group[] = []
  for (let i = 0; i < run.length; ) {
    const groups = cardAt(run, i)
    if (groups === 0) {
      rest.push(...run.slice(i, i + 1))
      i += 1
      continue
    }
    found.push(...phonesIn(text, rest, tagOf), spanOf(run.slice(i, i + groups), 'CARD', tagOf))
    rest = []
    i += groups
  }
  found.push(...phonesIn(text, rest, tagOf))
  return found.some(({ tag }) => tag.startsWith('[CARD')) ? widened(run, found) : found
}

/** The digits beside a card are its date and its code. */
function widened(run: readonly Group[], spans: readonly Span[]): Span[] {
  const [first, last] = [run[0]?.start ?? 0, run.at(-1)?.end ?? 0]
  return spans.map((span, i) => ({
    ...span,
    start: i === 0 ? Math.min(first, span.start) : span.start,
    end: spans[i + 1]?.start ?? last,
  }))
}

/** How many groups from here on make a card's number: the most that fit; 0 when none does. */
function cardAt(run: readonly Group[], from: number): number {
  let fits = 0
  let size = 0
  // Luhn's sum, for the case that the number ends with a digit at an odd place, and at an even one.
  let [odd, even] = [0, 0]
  for (let i = from; i < run.length; i += 1) {
    for (const char of run[i]?.digits ?? '') {
      const digit = Number(char)
      const doubled = digit > 4 ? digit * 2 - 9 : digit * 2
      odd += size % 2 === 0 ? doubled : digit
      even += size % 2 === 0 ? digit : doubled
      size += 1
      if (size > CARD_DIGITS.most) return fits
    }
    const sum = size % 2 === 0 ? odd : even
    if (size >= CARD_DIGITS.least && sum % 10 === 0) fits = i - from + 1
  }
  return fits
}

/** As many groups at a time as one number can have: two numbers may stand side by side. */
function phonesIn(text: string, run: readonly Group[], tagOf: TagOf): Span[] {
  const found: Span[] = []
  let groups: Group[] = []
  let size = 0
  const flush = () => {
    const [first] = groups
    if (first && size >= PHONE_DIGITS.least && size <= PHONE_DIGITS.most && !isOther(text, groups)) {
      const span = spanOf(groups, 'PHONE', tagOf)
      const plus = text.slice(Math.max(0, first.start - 2), first.start).match(/\+\(?$|\($/)?.[0].length ?? 0
      found.push({ ...span, start: span.start - plus })
    }
    groups = []
    size = 0
  }
  for (const group of run) {
    if (size + group.digits.length > PHONE_DIGITS.most) flush()
    groups.push(group)
    size += group.digits.length
  }
  flush()
  return found
}

/** Dates, spans of years, and amounts in thousands (`15 000 000`): they matter to whoever reads the text. */
function isOther(text: string, groups: readonly Group[]): boolean {
  const [first, last] = [groups[0], groups.at(-1)]
  if (!first || !last || text[first.start - 1] === '+') return false
  const written = text.slice(first.start, last.end)
  if (/^(?:(?:19|20)\d\d[-./]\d\d?[-./]\d\d?|\d\d?[-./]\d\d?[-./](?:19|20)\d\d)(?: \d\d?)?$/.test(written))
    return true
  if (/^(?:19|20)\d\d ?\p{Pd} ?(?:19|20)\d\d$/u.test(written)) return true
  return /^[1-9]\d?(?:[ .\u00a0\u202f]\d{3})+$/.test(written) && written.replace(/\D/g, '').length <= 8
}

function spanOf(groups: readonly Group[], kind: string, tagOf: TagOf): Span {
  const start = groups[0]?.start ?? 0
  // The last digits, which every spelling of a number shares.
  const digits = groups.map((group) => group.digits).join('')
  return {
    start,
    end: groups.at(-1)?.end ?? start,
    tag: tagOf(kind, kind === 'PHONE' ? digits.slice(-9) : digits),
  }
}

function replaced(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text
  let result = ''
  let at = 0
  for (const { start, end, tag } of spans) {
    result += text.slice(at, start) + tag
    at = end
  }
  return result + text.slice(at)
}
