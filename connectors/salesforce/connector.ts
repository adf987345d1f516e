import { defineConnector } from '../../src/connector/contract.ts'
import { check, fields, setUp } from './client/check.ts'
import { match } from './client/match.ts'
import { accessOf } from './client/token.ts'
import { find, write } from './client/write.ts'
import { salesforce } from './client.ts'
import { listCalls, lookUpCalls } from './inbound/read.ts'
import { fetchRecording } from './inbound/recording.ts'
import { listenToChanges } from './inbound/streaming.ts'
import { sourceWarnings } from './inbound/warnings.ts'
import { webhook } from './inbound/webhook.ts'
import { newContact, plan, recordUrl } from './map.ts'
import { config } from './schema.ts'

export const connector = defineConnector({
  id: 'salesforce',
  name: 'Salesforce',
  docs: 'https://developer.salesforce.com/docs/atlas.en-us.252.0.object_reference.meta/object_reference/sforce_api_objects_task.htm',
  config,
  async check(ctx) {
    const { says, warnings = [] } = await check(ctx)
    // Described a moment ago: no request more.
    const task = await salesforce(ctx).describe('Task')
    return { says, warnings: [...warnings, ...sourceWarnings(task, ctx.config)] }
  },
  // All that the org's users and programs send counts against one limit, which differs by licence: only the operator knows
  // how much of it is ours.
  budgets: ({ requestsPerDay }) =>
    requestsPerDay === undefined
      ? {}
      : { default: { limit: requestsPerDay, windowMs: 86_400_000, window: 'rolling' } },
  telephony: {
    webhook,
    lookUp: (ids, ctx) => lookUpCalls(ids, salesforce(ctx).pages, ctx),
    recording: fetchRecording,
    calls: (since, ctx, until) => listCalls(since, salesforce(ctx).pages, ctx, until),
    listen: (from, take, ctx) =>
      listenToChanges(from, take, ctx, {
        access: (refused) => accessOf(ctx, refused),
        query: (soql) => salesforce(ctx).pages(soql, 'queryAll'),
      }),
  },
  crm: {
    // The search index is filled some time after a write; how much is not documented. What we wrote is found by SOQL.
    indexLagMs: 60_000,
    match,
    plan,
    newContact,
    write,
    find,
    fields,
    setUp,
    recordUrl,
  },
})
