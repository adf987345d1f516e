import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Deps } from '../pipeline/deps.ts'
import { missedCalls } from '../pipeline/missed.ts'
import { quotasLeft } from '../pipeline/quota.ts'
import { oldestWaiting } from '../pipeline/standstill.ts'
import { sinceSweep } from '../pipeline/turn.ts'
import { keyOf } from '../telemetry/metrics.ts'
import { type Api, needs } from './auth.ts'
import { always } from './responses.ts'
import { countRefusals, countSteps, DAY_MS } from './work.ts'

const route = createRoute({
  ...needs('viewer'),
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  tags: ['Health'],
  summary: 'Figures of this process and of the store, for Prometheus',
  responses: {
    ...always,
    200: {
      description: 'Prometheus text format 0.0.4',
      content: { 'text/plain': { schema: z.string() } },
    },
  },
})

type Sample = [labels: Record<string, string>, value: number]

export function mountMetrics(app: OpenAPIHono<Api>, deps: Deps): void {
  app.openapi(route, async (c) => {
    const text = `${deps.metrics.render().trimEnd()}\n${await renderStore(deps)}`.trimStart()
    return c.text(text, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  })
}

/** What stands in the store. Labels are configured ids and codes of the table, so their number is bounded. */
async function renderStore({ store, config, now, queue }: Deps): Promise<string> {
  const at = now()
  const [steps, oldest, sinceSweepMs, issues, breakers, refusals, quotas, missed] = await Promise.all([
    countSteps(store),
    oldestWaiting(store),
    sinceSweep(store),
    store.db
      .selectFrom('issues')
      .select((eb) => ['code', 'connection', eb.fn.countAll<number>().as('count')])
      .where('state', '=', 'open')
      .groupBy(['code', 'connection'])
      .execute(),
    store.db.selectFrom('breakers').select(['connection', 'state']).execute(),
    countRefusals(store, at - DAY_MS),
    quotasLeft({ store, config }),
    missedCalls(store),
  ])
  const reconciled = [...config.connections.values()].filter(({ reconcile }) => reconcile !== undefined)
  const open = new Set(breakers.filter(({ state }) => state === 'open').map(({ connection }) => connection))
  return [
    gauge(
      'cordboard_steps',
      'Steps that are not done, by lane and state (stuck ones by connection)',
      steps.map(({ lane, state, count }): Sample => [{ lane, state }, count]),
    ),
    gauge(
      'cordboard_oldest_waiting_seconds',
      'How long the oldest step that is due has been waiting, by lane',
      oldest.map(({ lane, dueForMs }): Sample => [{ lane }, Math.max(0, dueForMs) / 1000]),
    ),
    gauge(
      'cordboard_last_sweep_seconds',
      'How long ago any worker looked for work that nobody rang for; none: never',
      sinceSweepMs === null ? [] : [[{}, sinceSweepMs / 1000]],
    ),
    gauge(
      'cordboard_issues_open',
      'Open issues by code and connection',
      issues.map(({ code, connection, count }): Sample => [{ code, connection }, Number(count)]),
    ),
    gauge(
      'cordboard_breaker_open',
      '1 while the connection’s breaker is open',
      [...config.connections.keys()].map(
        (connection): Sample => [{ connection }, open.has(connection) ? 1 : 0],
      ),
    ),
    gauge(
      'cordboard_refusals_last_day',
      'Refused requests of the last 24 hours by connection and code',
      refusals.map(({ connection, code, count }): Sample => [{ connection, code }, Number(count)]),
    ),
    gauge(
      'cordboard_quota_left',
      'What an analysis service had left when it was last asked, by connection and unit',
      quotas.map(({ connection, unit, left }): Sample => [{ connection, unit }, left]),
    ),
    counter(
      'cordboard_found_by_poll_missed_by_webhook_total',
      'Calls that only the vendor’s own list told of, by connection',
      reconciled.map(({ id }): Sample => [{ connection: id }, missed.get(id)?.count ?? 0]),
    ),
    gauge('cordboard_steps_running', 'Steps this process is running', [[{}, queue.state().running]]),
  ].join('')
}

const gauge = (name: string, help: string, samples: readonly Sample[]) => series('gauge', name, help, samples)
const counter = (name: string, help: string, samples: readonly Sample[]) =>
  series('counter', name, help, samples)

function series(type: 'gauge' | 'counter', name: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value]) => {
    const key = keyOf(labels)
    return `${name}${key === '' ? '' : `{${key}}`} ${value}\n`
  })
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}
