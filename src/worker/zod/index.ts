/**
 * zod without its languages but English. A bundler keeps all fifty, 80 KB of a Worker, because the library that describes
 * the routes takes the whole of zod as a value. wrangler.toml puts this in zod's place.
 */
import * as z from './names.ts'

export * from './names.ts'
export { z, z as default }
