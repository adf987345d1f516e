import type { Config } from '../../config/model.ts'
import { MADE_FORMATS } from '../../connector/platform.ts'
import { findFfmpeg } from '../../node/convert.ts'
import type { Finding } from './finding.ts'

const AREA = 'ffmpeg'
/** What phone systems record in; one of them is all that most of them offer. */
const RECORDED = ['mp3', 'wav'] as const

/** Is ffmpeg there, where a flow could need it: a service that is sent files does not take all that is recorded? */
export function converterFindings(config: Config, path: string | null = findFfmpeg()): Finding[] {
  const narrow = [...new Set(config.flows.flatMap(({ analyze }) => analyze))].filter((id) => {
    const connection = config.connections.get(id)
    const audio = connection?.connector.analysis?.accepts(connection.settings).audio
    if (!audio?.by.includes('file') || !MADE_FORMATS.some((format) => audio.formats.includes(format)))
      return false
    return RECORDED.some((format) => !audio.formats.includes(format))
  })
  if (narrow.length === 0) return []
  const ids = narrow.join(', ')
  if (path !== null) {
    return [{ level: 'ok', area: AREA, says: `${path} converts recordings for ${ids} where they need it` }]
  }
  const says = `not installed here: recordings in a format that ${ids} does not take will wait for it`
  const fix = 'Install ffmpeg where the work is done (Debian: apt-get install ffmpeg), then restart'
  return [{ level: 'warning', area: AREA, says, fix }]
}
