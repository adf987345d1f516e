import { z } from 'zod'
import { analysis } from './analysis.ts'
import { call } from './call.ts'
import { callEvent } from './facts.ts'

/**
 * The common call schema as JSON Schema (2020-12), for other languages and for editors. `CallEvent` is what the generic
 * connector takes in; `Call` and `Analysis` are what the API gives out. Marked as pure, so that a bundle that only imports
 * something else from `cordboard` does not make them.
 */
export const jsonSchemas = {
  Call: /* @__PURE__ */ z.toJSONSchema(call, { io: 'output' }),
  CallEvent: /* @__PURE__ */ z.toJSONSchema(callEvent, { io: 'input' }),
  Analysis: /* @__PURE__ */ z.toJSONSchema(analysis, { io: 'output' }),
} as const
