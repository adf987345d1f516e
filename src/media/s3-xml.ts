/**
 * As much XML as S3's answers need: the root element and the texts of named leaves. It knows no document types, so that
 * no entity can grow; whoever calls has bounded the text.
 */

export function rootOf(xml: string): string | null {
  return /^\uFEFF?\s*(?:<\?[^>]*\?>\s*)?<(?:[\w.-]+:)?(\w+)[\s/>]/.exec(xml)?.[1] ?? null
}

/** Text of the first leaf with this name. */
export function leafOf(xml: string, name: string): string | null {
  const text = new RegExp(`<(?:[\\w.-]+:)?${name}(?:\\s[^<>]*)?>([^<]*)</`).exec(xml)?.[1]
  return text === undefined ? null : unescaped(text)
}

/** What stands inside each element with this name, which has no attributes and no other one of it inside. */
export function elementsOf(xml: string, name: string): string[] {
  const [open, close] = [`<${name}>`, `</${name}>`]
  const found: string[] = []
  for (let at = xml.indexOf(open); at !== -1; ) {
    const end = xml.indexOf(close, at)
    if (end === -1) break
    found.push(xml.slice(at + open.length, end))
    at = xml.indexOf(open, end)
  }
  return found
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d{1,6})|#x([\da-f]{1,5})|(\w{2,4}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[name] ?? whole
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
  })
}
