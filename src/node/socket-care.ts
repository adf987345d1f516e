import type { Socket } from 'node:net'

/** What Node's own sockets lack for our exchanges. Called for each request, when it gets its socket. */
export function tend(socket: Socket): void {
  readBeforeFailing(socket)
  // Behind the HTTP parser's own listener, which every request adds anew.
  socket.off('data', freeParsed).on('data', freeParsed)
}

/**
 * Frees what was read from the network as soon as it is parsed, instead of leaving it to the collector, which lets some
 * 64 MB of it pile up: a recording that passes through then costs half as much memory. Node's parser hands body chunks
 * on as copies (`http-exchange.ts` checks each one); only buffers that nobody can share are freed.
 */
function freeParsed(data: Buffer): void {
  const { buffer } = data
  const whole = data.byteOffset === 0 && data.byteLength === buffer.byteLength
  if (whole && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** How long a refused write may wait for the answer that explains it. What is in the kernel comes within a loop turn. */
const PATIENCE_MS = 500

const patient = new WeakSet<Socket>()

/**
 * A vendor that refuses an upload answers (401, 413) and closes. The write that hits the closed connection fails, Node
 * then destroys the socket at once, and the answer that already lies in the kernel is never read: the caller sees EPIPE
 * instead of 401. On such a socket a refused write is reported only after the reading side has come to its end.
 */
function readBeforeFailing(socket: Socket): void {
  if (patient.has(socket)) return
  patient.add(socket)
  const { _write, _writev } = socket
  socket._write = (chunk, encoding, callback) =>
    _write.call(socket, chunk, encoding, afterReading(socket, callback))
  if (_writev)
    socket._writev = (chunks, callback) => _writev.call(socket, chunks, afterReading(socket, callback))
}

type Callback = (error?: Error | null) => void

function afterReading(socket: Socket, callback: Callback): Callback {
  return (error) => {
    const code = error && 'code' in error ? error.code : undefined
    if (socket.destroyed || (code !== 'EPIPE' && code !== 'ECONNRESET')) {
      callback(error)
      return
    }
    const report = () => {
      clearTimeout(timer)
      socket.off('end', report).off('close', report)
      callback(error)
    }
    const timer = setTimeout(report, PATIENCE_MS)
    socket.once('end', report).once('close', report)
  }
}
