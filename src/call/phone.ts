/**
 * One way to read a telephone number, used for writing and for looking up alike: E.164 plus the raw form.
 *
 * `libphonenumber-js/max` and not `/min`: a bare `380671234567` is an international number that lost its plus, or a
 * national one, and only the exact patterns tell. Measured over the example number of every country seen from every
 * other (48 k pairs): the wrong country in 1.2 % with `/max`, 3.1 % with `/min`; random digits pass as valid in 10 %
 * against 20 %. It costs 73 KB more of metadata.
 *
 * A number that is possible but not valid is still taken: numbering plans change faster than libraries, and the
 * numbers reserved for fiction (+44 7700 900xxx) belong to no range at all.
 */
import {
  type CountryCode,
  isSupportedCountry,
  type PhoneNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max'

export type PhoneKind = 'e164' | 'extension' | 'short' | 'withheld' | 'address' | 'unknown'

/** `e164` is there exactly when `kind` is `'e164'`; `raw` is what the vendor sent, untouched ('' for nothing). */
export type Phone = { kind: PhoneKind; e164: string | null; raw: string }

/** Longer than any number with its decoration; beyond it nothing is parsed. */
const MAX_LENGTH = 128

/** What PBXs write instead of a hidden number: letters only, lower case. */
const WITHHELD_WORDS = new Set(
  (
    'anonymous anonym anonyme anonimo anônimo unknown unknowncaller unknownnumber restricted private privatenumber ' +
    'privatecaller withheld numberwithheld blocked unavailable hidden nocallerid nonumber null undefined none na nan ' +
    'inconnu masqué privé аноним анонимный неизвестно неизвестный неопределен номернеопределен скрыт скрытый ' +
    'скрытыйномер номерскрыт прихований прихованийномер невідомий'
  ).split(' '),
)

/** ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE typed on a keypad: Twilio sends them as "+" numbers. */
const WITHHELD_DIGITS = new Set(['266696687', '7378742833', '2562533', '8656696', '86282452253'])

/** Emergency numbers and the European 116 xxx: short codes. Other numbers of 2–6 digits are extensions of the PBX. */
const SERVICE_CODE = /^(?:\d|112|911|999|000|116\d{3})$/

/** Regions whose ordinary numbers have at most six digits: there a valid one is no extension. */
const SHORT_PLANS = new Set('AC AD CK FK FO GL NC NF PM SH TA TK TV WF'.split(' '))

const ADDRESS = /^(?:[a-z]+\/.|webrtc\b)/i
const EXTENSION_SUFFIX = /\s*(?:#|x|ext\.?|extension|доб\.?|вн\.?)\s*\d{1,7}$/iu

/**
 * Reads a number as a vendor wrote it.
 *
 * @param region ISO 3166-1 alpha-2 of the connection, for national spellings; without it only numbers with a country
 *   code can be read
 */
export function normalisePhone(raw: string | null | undefined, region?: string): Phone {
  const kept = raw ?? ''
  const of = (kind: PhoneKind): Phone => ({ kind, e164: null, raw: kept })
  if (kept.length > MAX_LENGTH) return of('unknown')
  const text = plain(kept)
  if (isWithheld(text)) return of('withheld')

  const scheme = /^([a-z][a-z0-9+.-]*):(.*)$/i.exec(text)
  const name = scheme?.[1]?.toLowerCase() ?? (text.includes('@') ? 'sip' : 'tel')
  const rest = scheme?.[2] ?? text
  if (name === 'sip' || name === 'sips') {
    const user = rest.split(/[@;]/, 1)[0] ?? ''
    if (isWithheld(user)) return of('withheld')
    // Carriers write callers as sip:+…@trunk; without the plus the user part is a name inside a PBX.
    const isPhone = user.startsWith('+') || /;user=phone\b/i.test(rest)
    const phone = isPhone ? readDigits(user, kept, region) : null
    return phone?.kind === 'e164' ? phone : of('address')
  }
  if (!['tel', 'callto', 'whatsapp'].includes(name) || ADDRESS.test(rest)) return of('address')
  return readDigits(rest.split(/[;,]/, 1)[0] ?? '', kept, region)
}

/**
 * A number of a vendor that writes every one with its country code and none with its plus: `442079460123`. What is too
 * short for that, or no number, is read like any other.
 */
export function normaliseInternational(raw: string | null | undefined, region?: string): Phone {
  const whole = raw && /^\d{8,15}$/.test(raw) ? normalisePhone(`+${raw}`, region) : null
  return whole?.kind === 'e164' ? { ...whole, raw: raw ?? '' } : normalisePhone(raw, region)
}

/**
 * What to look a typed or received number up by: `e164` when it could be read, and `tail`, the last seven digits, the
 * wider net for numbers that were stored in another spelling. Neither when there are fewer than seven digits.
 */
export function phoneSearchKeys(query: string, region?: string): { e164?: string; tail?: string } {
  const { kind, e164 } = normalisePhone(query, region)
  if (e164) return { e164, tail: phoneTail(e164) }
  const digits = kind === 'unknown' && query.length <= MAX_LENGTH ? plain(query).replace(/\D/g, '') : ''
  return digits.length >= 7 ? { tail: phoneTail(digits) } : {}
}

/** The last seven digits (all of them if there are fewer): the part that every spelling of a number shares. */
export function phoneTail(e164: string): string {
  return e164.replace(/\D/g, '').slice(-7)
}

/** Area code and local number, no country code and no trunk 0: how HubSpot, for one, indexes numbers. */
export function nationalForm(e164: string): string | null {
  return parsePhoneNumberFromString(e164)?.nationalNumber ?? null
}

/**
 * The spellings in which people and programs store a number, the likeliest first, for CRMs that search for what stands in the
 * field: +33612345678, 0612345678, 06 12 34 56 78, +33 6 12 34 56 78, 0033612345678, 33612345678, 612345678.
 */
export function phoneSpellings(e164: string): string[] {
  const number = parsePhoneNumberFromString(e164)
  const digits = e164.replace(/\D/g, '')
  if (!number) return [...new Set([e164, `00${digits}`, digits])]
  const national = number.formatNational()
  return [
    ...new Set([
      e164,
      national.replace(/\D/g, ''),
      national,
      number.formatInternational(),
      `00${digits}`,
      digits,
      number.nationalNumber,
    ]),
  ]
}

/** Country codes of one and two digits (ITU E.164); every other one has three. */
const COUNTRY_CODE = /^(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})/

// A date is matched first and left alone; digits that follow a letter or "_" are part of an id.
const MASKABLE =
  /\d{4}-\d\d-\d\d(?:[T ][\d:.]{5,12})?|(?<![\p{L}\d_])\+?\(?\d(?:[\s().\u00a0/-]{0,3}\d){6,19}/gu

/**
 * Hides every phone number of a text, for logs: the country code (only where a `+` or `00` shows that there is one)
 * and the last two digits stay. Any run of 7–20 digits counts as one, except dates; ids such as `call_…` stay whole.
 */
export function maskPhone(text: string): string {
  return text.replace(MASKABLE, (match) => {
    if (/^\d{4}-\d\d-\d\d/.test(match)) return match
    const digits = match.replace(/\D/g, '').replace(/^00/, '')
    const international = match.startsWith('+') || match.startsWith('00')
    const code = international ? (COUNTRY_CODE.exec(digits)?.[0] ?? '') : ''
    const hidden = '*'.repeat(Math.max(digits.length - code.length - 2, 0))
    return `${international ? '+' : ''}${code}${hidden}${digits.slice(-2)}`
  })
}

/** Compatibility forms, Arabic digits and invisible marks made plain; the number out of `"Name" <number>`. */
function plain(raw: string): string {
  const text = raw
    .normalize('NFKC')
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 15))
    .replace(/\p{Cf}/gu, '')
  return (/<([^<>]*)>\s*$/.exec(text)?.[1] ?? text).trim()
}

function isWithheld(text: string): boolean {
  if (!/[\p{L}\d*#]/u.test(text) || /^0{4,}$/.test(text)) return true
  if (/^(?:\+|00)/.test(text) && WITHHELD_DIGITS.has(text.replace(/^(?:\+|00)/, ''))) return true
  return (
    !/\d/.test(text) &&
    WITHHELD_WORDS.has(
      text
        .toLowerCase()
        .replaceAll('ё', 'е')
        .replace(/[^\p{L}]/gu, ''),
    )
  )
}

function readDigits(text: string, raw: string, region?: string): Phone {
  const of = (kind: PhoneKind): Phone => ({ kind, e164: null, raw })
  const number = /^[*#\d]+$/.test(text) ? text : text.replace(EXTENSION_SUFFIX, '')
  const bare = number.replace(/^(\+|00)(.*)\(0\)/, '$1$2').replace(/[\s()./_'"\p{Pd}\u2212]/gu, '')
  if (/^[*#]+[\d*#]{0,6}$|^\d{1,6}#$/.test(bare)) return of('short')
  if (!/^\++\d+$|^\d+$/.test(bare)) return of('unknown')

  const digits = bare.replace(/^\++/, '')
  // "+0…" is a national number that a PBX decorated.
  const hasPlus = bare.startsWith('+') && !digits.startsWith('0')
  const country = countryOf(region)
  if (digits.length <= 6) {
    const own =
      !hasPlus && country && SHORT_PLANS.has(country) ? parsePhoneNumberFromString(digits, country) : null
    if (own?.isValid()) return { kind: 'e164', e164: own.number, raw }
    return of(hasPlus || SERVICE_CODE.test(digits) ? 'short' : 'extension')
  }
  const read = hasPlus ? possible(international(digits)) : guess(digits, country)
  if (read) return { kind: 'e164', e164: read.number, raw }
  return of(WITHHELD_DIGITS.has(digits) ? 'withheld' : 'unknown')
}

/** Digits without a plus: national, with the prefix 00, or international with the plus lost; the first valid one. */
function guess(digits: string, country?: CountryCode): PhoneNumber | undefined {
  const national = country && parsePhoneNumberFromString(digits, country)
  const prefixed = digits.startsWith('00') ? international(digits.replace(/^0+/, '')) : undefined
  // Ten digits are too often a national number from elsewhere, so they count only where the region excludes that.
  const long = digits.length >= 11
  const isLost =
    !digits.startsWith('0') && (long || (digits.length === 10 && national && !national.isPossible()))
  const lost = isLost ? international(digits) : undefined
  const valid = [national, prefixed, lost].find((candidate) => candidate?.isValid())
  return valid ?? possible(national) ?? possible(prefixed) ?? (long ? possible(lost) : undefined)
}

function international(digits: string): PhoneNumber | undefined {
  // Mexico dropped the 1 after its code for mobiles in 2019; PBXs and messengers still send it.
  return parsePhoneNumberFromString(`+${digits.replace(/^521(\d{10})$/, '52$1')}`)
}

function possible(number: PhoneNumber | undefined): PhoneNumber | undefined {
  return number?.isPossible() ? number : undefined
}

function countryOf(region: string | undefined): CountryCode | undefined {
  const code = region?.toUpperCase()
  return code && isSupportedCountry(code) ? code : undefined
}
