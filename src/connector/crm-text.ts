import type { Line } from './crm-report.ts'

/** Lines as the text of a field, no longer than the field takes: what does not fit is cut, and it is said. */

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\n': '<br>',
}

/** What stands where a text was cut. */
export const CUT_MARK = '[Shortened: the rest does not fit into this field]'

/** A line of text, cut to `max` UTF-16 units between two characters, with "…". */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${within(text, max - 1)}…`
}

/** A text of several lines, cut to `max` UTF-16 units with the mark as its last line. */
export function cutText(text: string, max: number): string {
  if (text.length <= max) return text
  const mark = `\n${CUT_MARK}`
  return mark.length >= max ? within(text, max) : within(text, max - mark.length) + mark
}

/** Plain text, a line each. */
export function asText(lines: readonly Line[], max: number): string {
  const text = shown(lines)
    .map(({ label, text = '', href }) => [label, clean(text), href].filter(Boolean).join(' '))
    .join('\n')
  return cutText(text, max)
}

/** What callers and models say is text, whatever it looks like: CRMs show bodies as HTML to the whole team. */
export function escapeHtml(text: string): string {
  return clean(text).replace(/[&<>"'\n]/g, (char) => ENTITIES[char] ?? '')
}

/** Paragraphs of at most `max` UTF-16 units; what does not fit is cut between two characters of text, and it is said. */
export function asHtml(lines: readonly Line[], max: number): string {
  const all = shown(lines)
  const whole = all.map(paragraph).join('')
  if (whole.length <= max) return whole
  const mark = `<p>${CUT_MARK}</p>`
  let html = ''
  for (const line of all) {
    const room = max - mark.length - html.length
    const next = paragraph(line)
    if (next.length > room) {
      const text = fitting(line.text ?? '', room - paragraph({ ...line, text: '.' }).length + 1)
      return html + (text === '' ? '' : paragraph({ ...line, text })) + mark
    }
    html += next
  }
  return html
}

const shown = (lines: readonly Line[]): Line[] =>
  lines.filter(({ label, text }) => Boolean(text) || (label && !label.endsWith(':')))

function paragraph({ label, text = '', href }: Line): string {
  const bold = label ? `<strong>${escapeHtml(label)}</strong>${text ? ' ' : ''}` : ''
  const inner = escapeHtml(text)
  return `<p>${bold}${href === undefined ? inner : `<a href="${escapeHtml(href)}">${inner}</a>`}</p>`
}

function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[\p{Cc}--[\n\t]]/gv, '')
}

/** As much of it as fits, and no half of a character. */
function within(text: string, max: number): string {
  const end = Math.max(0, max)
  const code = text.charCodeAt(end - 1)
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? end - 1 : end)
}

function fitting(text: string, room: number): string {
  let kept = ''
  let left = room
  for (const char of text) {
    left -= escapeHtml(char).length
    if (left < 0) break
    kept += char
  }
  return kept
}
