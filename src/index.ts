/** What a configuration file or a connector of your own imports from `cordboard`. */

export type { Analysis, Part, Transcript } from './call/analysis.ts'
export type { Call, Direction, Recording, Result } from './call/call.ts'
export { type Conversation, conversationOf, type Voice, voicesOf } from './call/conversation.ts'
export type { CallEvent, Facts } from './call/facts.ts'
export { jsonSchemas } from './call/json-schema.ts'
export { fromVcon, readVcon, toVcon, type Vcon } from './call/vcon.ts'
export { voicesOfWav } from './call/voice-activity.ts'
export {
  type ConfigInput,
  type ConnectionInput,
  defineConfig,
  type FlowInput,
  type KeepInput,
  type SecretReference,
  secret,
} from './config/define.ts'
export type { FlowFilter } from './config/model.ts'
export type * from './connector/contract.ts'
export { defineConnector } from './connector/contract.ts'
export { secretList, secretValue } from './connector/secret.ts'
export type * from './connector/verification.ts'
export { CordboardError, type ErrorCode } from './errors.ts'
