import { z } from 'zod'
import { tracks } from '../../src/call/call.ts'

/** The connection's keys. */
export const config = z.object({
  tracks: tracks
    .extend({
      left: tracks.shape.left.describe('who is on the left track: `agent`, `customer` or `both`'),
      right: tracks.shape.right.describe('who is on the right one'),
    })
    .optional()
    .describe('who is on which track of a stereo recording that does not say so itself'),
})
export type Config = z.output<typeof config>
