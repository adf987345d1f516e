import type { Log } from '../../connector/contract.ts'
import type { Tokens } from '../../connector/tokens.ts'
import { CordboardError } from '../../errors.ts'
import { createTokens } from '../../pipeline/tokens.ts'
import type { Store } from '../../store/port.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * The tokens that the workers use, and one that has ended is refreshed as they would: a refresh token that a command used
 * up for itself would be lost to them. `open` is called when a connector wants one, null where no store was made yet.
 */
export function vendorTokens(open: () => Promise<Store | null>): Tokens & { close(): Promise<void> } {
  let opening: Promise<Store | null> | null = null
  let tokens: Tokens | null = null
  return {
    async get(ask) {
      opening ??= open()
      const store = await opening
      if (!store) {
        throw new CordboardError('config', `There is no store yet to keep the ${ask.name} token in`, {
          why: 'A token that only this command knows might use up the credentials',
          fix: 'Start the server once, then ask again',
        })
      }
      tokens ??= createTokens({ store, now: Date.now, random: Math.random, log: silent })
      return tokens.get(ask)
    },
    close: async () => (await opening)?.close(),
  }
}
