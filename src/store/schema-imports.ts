/** The tables of imports; the rules are those of schema.ts. */

/** A CSV, with an archive of recordings, that is handed in. Its files lie in the media store while it is worked on. */
export interface ImportRow {
  id: string
  connection: string
  /** The sender's: the same key is the same import. Unique per connection. */
  key: string
  /** Role and label of the token that sent it. */
  actor: string
  state: /** its files are on their way */
    | 'uploading'
    /** the archive's directory is read */
    | 'reading'
    /** its rows are taken */
    | 'taking'
    | 'done'
    | 'failed'
  /** 1 when an archive belongs to it. */
  archive: number
  archive_bytes: number
  csv_bytes: number
  /** JSON of the columns that its first line names. */
  columns: string | null
  /** How far it was read: a byte of the directory, then of the CSV. */
  place: number
  /** The line that was read last, as a spreadsheet counts: the names of the columns are 1. */
  line: number
  taken: number
  known: number
  refused: number
  /** Files of the archive that a row can name, and others. */
  files: number
  strays: number
  /** What has come out of the archive at most, in bytes. */
  unpacked: number
  reason: string | null
  created_at: number
  updated_at: number
  ended_at: number | null
}

/** What became of a row of an import. */
export interface ImportVerdictRow {
  import_id: string
  line: number
  verdict: 'taken' | 'known' | 'refused'
  call_id: string | null
  code: string | null
  /** By column; holds nothing of the cells. */
  says: string | null
}

/** A file of an import's archive, until the import has ended. */
export interface ImportFileRow {
  import_id: string
  name: string
  at: number
  packed: number
  bytes: number
  method: number
  crc: number
  /** Why no row can have it. */
  fault: string | null
  /** The row that has it, and its hash. */
  line: number | null
  hash: string | null
}
