#!/usr/bin/env node
// In a checkout the program runs as it is written; the published package carries it compiled.
import { existsSync } from 'node:fs'

const source = new URL('../src/cli/main.ts', import.meta.url)
const compiled = new URL('../dist/src/cli/main.js', import.meta.url)
await import(existsSync(source) ? source.href : compiled.href)
