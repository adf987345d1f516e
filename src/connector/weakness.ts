import type { Verification } from './verification.ts'

/**
 * Why a delivery that passes this check may still not be what the vendor said; null: its sender has signed what it says. A
 * vendor that offers no more can be taken all the same, but whoever runs it should know.
 */
export function weaknessOf(verification: Verification): { says: string; fix: string } | null {
  if (verification.scheme === 'nothing') {
    return {
      says: `anyone can send deliveries: ${verification.reason}`,
      fix: 'Let only the vendor’s addresses reach its hook',
    }
  }
  if (verification.scheme === 'jwt' && !verification.bodyHashClaim) {
    return {
      says: 'what is signed is a token that does not cover the body: whoever has seen one can send others while it lasts',
      fix: 'Let only the vendor’s addresses reach its hook',
    }
  }
  if (verification.scheme !== 'token') return null
  const { place } = verification
  const inUrl = 'query' in place || 'path' in place
  return {
    says: `deliveries carry a token and no signature: whoever has seen one can send others${
      inUrl ? ', and it stands in the URL, where proxies log it' : ''
    }`,
    fix: 'Let only the vendor’s addresses reach its hook, keep its URL out of logs, and change the token now and then',
  }
}
