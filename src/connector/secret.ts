import { z } from 'zod'

/**
 * A secret of a connection after its reference was resolved: one value or a list, newest first, so that a rotation has
 * both valid. Every connector types its secrets with this, which is how they are known to be masked.
 */
export const secretList = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .transform((value): readonly string[] => (typeof value === 'string' ? [value] : value))
  .meta({ secret: true, description: 'secret, or a list of secrets, newest first' })

/** A secret that is sent, not checked: only the newest counts. */
export const secretValue = z.string().min(1).meta({ secret: true, description: 'secret' })
