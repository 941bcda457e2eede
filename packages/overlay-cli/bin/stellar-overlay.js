#!/usr/bin/env node
/**
 * Starts the command line. Installed from npm, it runs the compiled program. In a checkout it runs the sources with the
 * Node.js the workspace pins, so that `npx stellar-overlay` works right after `npm ci`, whatever Node.js is installed.
 *
 * This file must load in old versions of Node.js too, to be able to say that they are too old.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const REQUIRED = [22, 19]

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

const supported = () => {
  const [major, minor] = process.versions.node.split(".").map(Number)
  return major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1])
}

const source = path("../src/bin.ts")
const inCheckout = existsSync(source) && !/[\\/]node_modules[\\/]/.test(source)
const pinned = path(`../../../node_modules/node/bin/node${process.platform === "win32" ? ".exe" : ""}`)

const runSource = (node) => {
  const args = ["--conditions=@stellar-overlay/source", source, ...process.argv.slice(2)]
  const child = spawn(node, args, { stdio: "inherit" })
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"]
  const forward = (signal) => {
    // Ctrl-C in a terminal reaches the child by itself, and a second one would mean "now, without a goodbye".
    if (signal !== "SIGINT" || process.stdin.isTTY !== true) child.kill(signal)
  }
  for (const signal of signals) process.on(signal, forward)
  child.on("error", (error) => {
    console.error(`stellar-overlay: cannot start ${node}: ${error.message}`)
    process.exitCode = 70
  })
  child.on("exit", (code, signal) => {
    for (const name of signals) process.off(name, forward)
    if (signal === null) process.exit(code)
    process.kill(process.pid, signal) // ends the way the child did
  })
}

if (inCheckout && existsSync(pinned)) {
  runSource(pinned)
} else if (!supported()) {
  console.error(
    `stellar-overlay needs Node.js ${REQUIRED.join(".")} or newer, and this is ${process.versions.node} ` +
      `(${process.execPath}).\nInstall a newer one from https://nodejs.org, or run \`npm ci\` in a checkout, which brings its own.`
  )
  process.exitCode = 2
} else if (inCheckout) {
  runSource(process.execPath)
} else {
  await import("../dist/bin.js")
}
