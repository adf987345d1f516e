/** Counters and timings of this process, in Prometheus' text format. What stands in the store is counted there. */
export interface Metrics {
  count(name: string, labels?: Record<string, string>, by?: number): void
  /** A duration in milliseconds; exported in seconds as a histogram. */
  time(name: string, ms: number, labels?: Record<string, string>): void
  /** The text of /metrics for these. */
  render(): string
}

const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

const HELP: Record<string, string> = {
  cordboard_deliveries_total: 'Inbound requests by connection and what became of them',
  cordboard_step_seconds: 'Time a step took, by kind and outcome',
  cordboard_vendor_seconds: 'Time a vendor took to answer, by connection',
  cordboard_ingest_seconds: 'Time from request to durable answer',
}

/** In-memory metrics; label values come from configuration and our own codes, so their number is bounded. */
export function createMetrics(): Metrics {
  const counters = new Map<string, Map<string, number>>()
  const histograms = new Map<string, Map<string, { buckets: number[]; sum: number; count: number }>>()

  const series = <T>(map: Map<string, Map<string, T>>, name: string, key: string, first: () => T): T => {
    let of = map.get(name)
    if (!of) {
      of = new Map()
      map.set(name, of)
    }
    let value = of.get(key)
    if (value === undefined) {
      value = first()
      of.set(key, value)
    }
    return value
  }

  return {
    count: (name, labels = {}, by = 1) => {
      const key = keyOf(labels)
      series(counters, name, key, () => 0)
      const of = counters.get(name)
      of?.set(key, (of.get(key) ?? 0) + by)
    },
    time: (name, ms, labels = {}) => {
      const value = series(histograms, name, keyOf(labels), () => ({
        buckets: BOUNDS.map(() => 0),
        sum: 0,
        count: 0,
      }))
      const seconds = ms / 1000
      for (const [index, bound] of BOUNDS.entries()) {
        if (seconds <= bound) value.buckets[index] = (value.buckets[index] ?? 0) + 1
      }
      value.sum += seconds
      value.count += 1
    },
    render: () => {
      const lines: string[] = []
      for (const [name, of] of counters) {
        lines.push(`# HELP ${name} ${HELP[name] ?? name}`, `# TYPE ${name} counter`)
        for (const [key, value] of of) lines.push(`${name}${braced(key)} ${value}`)
      }
      for (const [name, of] of histograms) {
        lines.push(`# HELP ${name} ${HELP[name] ?? name}`, `# TYPE ${name} histogram`)
        for (const [key, { buckets, sum, count }] of of) {
          for (const [index, bound] of BOUNDS.entries()) {
            lines.push(`${name}_bucket${braced(key, `le="${bound}"`)} ${buckets[index]}`)
          }
          lines.push(`${name}_bucket${braced(key, 'le="+Inf"')} ${count}`)
          lines.push(`${name}_sum${braced(key)} ${sum}`, `${name}_count${braced(key)} ${count}`)
        }
      }
      return `${lines.join('\n')}\n`
    },
  }
}

/** Prometheus label text, escaped. */
export function keyOf(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(
      ([name, value]) =>
        `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
    )
    .join(',')
}

function braced(key: string, extra?: string): string {
  const all = [key, extra].filter(Boolean).join(',')
  return all === '' ? '' : `{${all}}`
}
