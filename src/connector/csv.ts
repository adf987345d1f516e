/** A line of a CSV file (RFC 4180), with its line break. Line breaks inside of a cell become spaces: not every reader knows them. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cell).join(',')}\r\n`
}

function cell(value: string): string {
  const text = value.replaceAll(/[\r\n\u2028\u2029]+/g, ' ').replaceAll('\0', '')
  // Spaces at the ends would be lost to readers that trim what is not quoted.
  return /[",]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** What spreadsheets take for a formula: by its first character, also behind spaces, and of each line of a cell. */
const FORMULA = /(^|[\r\n\u2028\u2029])[\s\u00a0\ufeff]*[=+\-@\uff0b\uff0d\uff1d\uff20]|^[\t\r\n]/

/** A line for people, who open it in a spreadsheet: what would be run there begins with an apostrophe, and every cell is quoted. */
export function spreadsheetLine(cells: readonly string[]): string {
  return csvLine(cells.map((value) => (FORMULA.test(value) ? `'${value}` : value)))
}
