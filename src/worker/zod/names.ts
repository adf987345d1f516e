// A name that is exported here takes the place of the one that the star brings. `z` holds the languages once more.
export * from 'zod/v4'
export * as core from './core.ts'
export const locales = {}
export const z = undefined
export const compile = undefined
export const withParser = undefined
export const fromJSONSchema = undefined
