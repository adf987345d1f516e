const TABLES = Array.from({ length: 4 }, () => new Uint32Array(256))
const [ONE, TWO, THREE, FOUR] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
for (let n = 0; n < 256; n += 1) {
  let sum = n
  for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0)
  ONE[n] = sum
}
for (const [k, table] of [TWO, THREE, FOUR].entries())
  for (let n = 0; n < 256; n += 1) {
    const before = TABLES[k]?.[n] ?? 0
    table[n] = (before >>> 8) ^ (ONE[before & 0xff] ?? 0)
  }

/** The checksum of ZIP files, of what came `before` and these bytes; four bytes at a time. WebCrypto has none. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let sum = ~before
  let at = 0
  for (const end = bytes.length - 3; at < end; at += 4) {
    // biome-ignore-start lint/style/noNonNullAssertion: a table has 256 places, and this is read for every byte.
    sum ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    sum = FOUR[sum & 0xff]! ^ THREE[(sum >>> 8) & 0xff]! ^ TWO[(sum >>> 16) & 0xff]! ^ ONE[sum >>> 24]!
  }
  for (; at < bytes.length; at += 1) sum = (sum >>> 8) ^ ONE[(sum ^ bytes[at]!) & 0xff]!
  // biome-ignore-end lint/style/noNonNullAssertion: as above.
  return ~sum >>> 0
}
