import { createConvert } from '../../src/node/convert.ts'
import { stereoWav } from './tone.ts'

/** A process that is killed while it converts a recording without end. Tells when the first bytes have come out. */
const [path = '', libraries = ''] = process.argv.slice(2)
const convert = createConvert({ path, env: libraries === '' ? {} : { LD_LIBRARY_PATH: libraries } })
let isFirst = true
const endless = new ReadableStream<Uint8Array>({
  pull(controller) {
    controller.enqueue(isFirst ? stereoWav({ seconds: 1, says: 0xffff_ffff }) : new Uint8Array(65_536))
    isFirst = false
  },
})
const { signal } = new AbortController()
const made = convert(endless, { from: 'wav', to: 'mp3', signal }).getReader()
await made.read()
console.log('converting')
setInterval(() => void made.read(), 50)
