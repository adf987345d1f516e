/** Reads the sample recordings from disk. Runtimes without a file system get their bytes some other way. */
import { readFile } from 'node:fs/promises'
import { SAMPLES } from './recordings.ts'

/** The bytes of a sample by the `file` it has in `SAMPLES`; any other name is refused before the disk is asked. */
export async function loadRecording(file: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!SAMPLES.some((sample) => sample.file === file))
    throw new RangeError(`There is no sample recording ${file}`)
  return new Uint8Array(await readFile(new URL(`./recordings/${file}`, import.meta.url)))
}
