import type { Connection } from '../../config/model.ts'
import { isLoopback } from '../../config/public-url.ts'
import { CordboardError } from '../../errors.ts'
import type { Patient } from './diagnose.ts'
import type { Finding } from './finding.ts'

const AREA = 'public URL'
const TIMEOUT_MS = 10_000

/** Is publicUrl what it should be, and does it lead here? Vendors sign the URL they call. */
export async function publicUrlFindings(
  patient: Patient,
  connections: readonly Connection[],
): Promise<Finding[]> {
  const { publicUrl } = patient.configured.config
  const called = connections.filter(
    ({ connector: { telephony, analysis, crm } }) =>
      telephony?.webhook ?? analysis?.callback ?? crm?.callback,
  )
  if (called.length === 0) return []
  if (publicUrl === undefined) {
    const ids = called.map(({ id }) => id).join(', ')
    const says = `publicUrl is not set: no vendor can be told where to send, no signed URL can be checked (${ids})`
    const fix =
      "Set publicUrl to the https address that vendors call, such as publicUrl: 'https://calls.example.com'"
    return [{ level: 'problem', area: AREA, says, fix }]
  }
  const url = new URL(publicUrl)
  const findings: Finding[] = []
  if (isLoopback(url.hostname)) {
    const says = `${publicUrl} is this machine only: no vendor can call it`
    findings.push({
      level: 'warning',
      area: AREA,
      says,
      fix: 'For real vendors set the https address they call',
    })
  }
  if (url.pathname !== '/') {
    const says = `${publicUrl} has the path ${url.pathname}`
    const fix = `Right only if your proxy removes ${url.pathname} before it passes a request on; else leave it out`
    findings.push({ level: 'warning', area: AREA, says, fix })
  }
  findings.push(await probe(publicUrl, patient))
  return findings
}

/** Whoever answers at publicUrl tells the hash of its configuration: is it ours? */
async function probe(publicUrl: string, { http, configured, running }: Patient): Promise<Finding> {
  const here = running?.url ?? 'this server'
  try {
    const response = await http(new URL(`${publicUrl}/readyz`), {
      method: 'GET',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      timeoutMs: TIMEOUT_MS,
      maxBytes: 64 * 1024,
      redirects: 0,
      allowPrivate: [new URL(publicUrl).host],
    })
    const text = await response.text()
    const hash = configHash(text)
    if (hash === configured.config.hash) return { level: 'ok', area: AREA, says: `${publicUrl} leads here` }
    if (hash !== null) {
      const says = `${publicUrl} leads to a Cordboard with another configuration`
      return { level: 'problem', area: AREA, says, fix: 'Restart that server, or correct publicUrl' }
    }
    const location = response.headers.get('location')
    const seen = location
      ? `a redirect to ${location.slice(0, 200)}`
      : `HTTP ${response.status}, not a Cordboard`
    const fix = `Let the proxy pass ${publicUrl}/hooks/… on to ${here} unchanged, or correct publicUrl`
    return { level: 'problem', area: AREA, says: `${publicUrl} leads elsewhere: ${seen}`, fix }
  } catch (error) {
    if (!(error instanceof CordboardError)) throw error
    const says = `${publicUrl} cannot be reached from here: ${error.message}`
    if (/\b(?:ENOTFOUND|EAI_AGAIN)\b/.test(error.message)) {
      const fix = 'Correct the name in publicUrl, or enter it in the DNS; ask again where it is known'
      return { level: running ? 'problem' : 'warning', area: AREA, says, fix }
    }
    if (!running)
      return { level: 'warning', area: AREA, says, fix: 'Start the server, then ask again: cordboard serve' }
    const fix = `Check name, certificate and proxy: ${publicUrl} must lead to ${here}`
    return { level: 'problem', area: AREA, says, fix }
  }
}

function configHash(text: string): string | null {
  try {
    const { config }: { config?: unknown } = JSON.parse(text)
    return typeof config === 'string' ? config : null
  } catch {
    return null
  }
}
