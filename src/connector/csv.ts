/** A line of a CSV file (RFC 4180), with its line break. Line breaks inside of a cell become spaces: not every reader knows them. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cell).join(',')}\r\n`
}

function cell(value: string): string {
  const text = value.replaceAll(/[\r\n\u2028\u2029]+/g, ' ').replaceAll('\0', '')
  // Spaces at the ends would be lost to readers that trim what is not quoted.
  return /[",]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
