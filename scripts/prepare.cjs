/**
 * Runs after `npm ci` and `npm install` in a checkout, under whatever Node.js npm itself runs on (20 or newer): plain
 * CommonJS, no network, safe to repeat. It is a script of the private root package, so nobody who installs one of the
 * published packages ever runs it.
 *
 * 1. Applies `patches/` with patch-package. Without it overlay-sql cannot load its SQLite driver: a failure is an error.
 * 2. Replaces the TypeScript compiler's binary by Effect's build of the same version, so that plain `tsc` prints
 *    Effect's diagnostics too. Without it the compiler still works: a failure is a warning (`npm run check` reports it).
 */
"use strict"

const { spawnSync } = require("node:child_process")
const { existsSync } = require("node:fs")
const { join } = require("node:path")

const root = join(__dirname, "..")

/** Runs a script of an installed package with this Node.js; undefined when the package is not installed. */
const run = (script, args) => {
  const file = join(root, "node_modules", script)
  if (!existsSync(file)) return undefined
  const result = spawnSync(process.execPath, [file, ...args], { cwd: root, encoding: "utf8" })
  return { ok: result.status === 0, output: `${result.stdout || ""}${result.stderr || ""}${result.error || ""}`.trim() }
}

const patches = run("patch-package/index.js", ["--error-on-fail"])
if (patches === undefined) {
  console.log("prepare: development dependencies are not installed, nothing to do")
} else if (!patches.ok) {
  console.error(`prepare: the patches in patches/ do not apply\n${patches.output}`)
  process.exitCode = 1
} else {
  console.log("prepare: patches applied")
}

if (process.exitCode !== 1 && patches !== undefined) {
  const compiler = run("@effect/tsgo/dist/effect-tsgo.cjs", ["patch", "--typescript"])
  if (compiler !== undefined && compiler.ok) {
    console.log("prepare: tsc prints Effect diagnostics")
  } else {
    console.warn(
      "prepare: tsc could not be replaced by Effect's build of it, so it prints no Effect diagnostics. " +
        `Everything else works.\n${compiler === undefined ? "@effect/tsgo is not installed" : compiler.output}`
    )
  }
}
