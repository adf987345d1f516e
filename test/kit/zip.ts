import { crc32, deflateRawSync } from 'node:zlib'

/** ZIP archives as tests need them: with any name, and wrong wherever one is told to be. */

export interface MadeFile {
  name: string | Uint8Array
  content: Uint8Array
  deflate?: boolean
  /** Instead of what is true. */
  method?: number
  crc?: number
  claims?: number
  encrypted?: boolean
  /** Where the directory says that it stands. */
  at?: number
  /** Sizes and place in a ZIP64 field. */
  wide?: boolean
}

export function makeZip(files: readonly MadeFile[], { zip64 = false, comment = '' } = {}): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const file of files) {
    const { content, deflate = false, encrypted = false, wide = false } = file
    const name = Buffer.from(file.name)
    const packed = deflate ? deflateRawSync(content, { level: 1 }) : Buffer.from(content)
    const method = file.method ?? (deflate ? 8 : 0)
    const sum = file.crc ?? crc32(content)
    const size = file.claims ?? content.length
    const flags = (encrypted ? 1 : 0) | 0x0800
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(20, 4)
    local.writeUInt16LE(flags, 6)
    local.writeUInt16LE(method, 8)
    local.writeUInt32LE(sum, 14)
    local.writeUInt32LE(packed.length, 18)
    local.writeUInt32LE(size, 22)
    local.writeUInt16LE(name.length, 26)
    const extra = Buffer.alloc(wide ? 28 : 0)
    if (wide) {
      extra.writeUInt16LE(0x0001, 0)
      extra.writeUInt16LE(24, 2)
      extra.writeBigUInt64LE(BigInt(size), 4)
      extra.writeBigUInt64LE(BigInt(packed.length), 12)
      extra.writeBigUInt64LE(BigInt(file.at ?? at), 20)
    }
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt16LE(flags, 8)
    central.writeUInt16LE(method, 10)
    central.writeUInt32LE(sum, 16)
    central.writeUInt32LE(wide ? 0xffffffff : packed.length, 20)
    central.writeUInt32LE(wide ? 0xffffffff : size, 24)
    central.writeUInt16LE(name.length, 28)
    central.writeUInt16LE(extra.length, 30)
    central.writeUInt32LE(wide ? 0xffffffff : (file.at ?? at), 42)
    parts.push(local, name, packed)
    directory.push(central, name, extra)
    at += local.length + name.length + packed.length
  }
  const list = Buffer.concat(directory)
  const words = Buffer.from(comment)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(zip64 ? 0xffff : files.length, 8)
  end.writeUInt16LE(zip64 ? 0xffff : files.length, 10)
  end.writeUInt32LE(zip64 ? 0xffffffff : list.length, 12)
  end.writeUInt32LE(zip64 ? 0xffffffff : at, 16)
  end.writeUInt16LE(words.length, 20)
  const end64 = Buffer.alloc(zip64 ? 76 : 0)
  if (zip64) {
    end64.writeUInt32LE(0x06064b50, 0)
    end64.writeBigUInt64LE(44n, 4)
    end64.writeBigUInt64LE(BigInt(files.length), 24)
    end64.writeBigUInt64LE(BigInt(files.length), 32)
    end64.writeBigUInt64LE(BigInt(list.length), 40)
    end64.writeBigUInt64LE(BigInt(at), 48)
    end64.writeUInt32LE(0x07064b50, 56)
    end64.writeBigUInt64LE(BigInt(at + list.length), 64)
    end64.writeUInt32LE(1, 72)
  }
  return new Uint8Array(Buffer.concat([...parts, list, end64, end, words]))
}
