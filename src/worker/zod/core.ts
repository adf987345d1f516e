export * from 'zod/v4/core'
export const locales = {}
export const compile = undefined
export const compileFn = undefined
export const withParser = undefined
