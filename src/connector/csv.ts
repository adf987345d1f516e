/** A line of a CSV file (RFC 4180), with its line break. Line breaks inside of a cell become spaces: not every reader knows them. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cell).join(',')}\r\n`
}

function cell(value: string): string {
  const text = value.replaceAll(/[\r\n\u2028\u2029]+/g, ' ').replaceAll('\0', '')
  // Spaces at the ends would be lost to readers that trim what is not quoted.
  return /[",]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** What spreadsheets take for a formula: by the first character of a line, also behind spaces and what cannot be seen. */
const FORMULA = /^[\s\p{C}]*[=+\-@\uff0b\uff0d\uff1d\uff20]/u

/** A line for people, who open it in a spreadsheet: what would be run there begins with an apostrophe, and every cell is quoted. */
export function spreadsheetLine(cells: readonly string[]): string {
  return csvLine(cells.map((value) => (isRun(value) ? `'${value}` : value)))
}

const isRun = (value: string): boolean =>
  /^[\t\r\n]/.test(value) || value.split(/[\r\n\u2028\u2029]/).some((line) => FORMULA.test(line))
