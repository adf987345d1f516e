/** What people may do to work: each leaves an audit row in the same batch. */
export { auditRow } from './audit.ts'
export { type Replayed, type ReplayFilter, replayDeliveries } from './replay.ts'
export { rerunCall } from './rerun.ts'
