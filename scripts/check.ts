/**
 * `npm run check`: everything about the sources that can be said without running the tests. All steps run, each with
 * its name and time; any finding makes the whole fail.
 */
import { spawnSync } from "node:child_process"
import { delimiter, join } from "node:path"
import * as docs from "./check-docs.ts"
import * as examples from "./check-examples.ts"
import * as lengths from "./check-files.ts"
import * as imports from "./check-imports.ts"
import * as codegen from "./codegen.ts"
import { root } from "./lib/workspace.ts"

/** Returns true when there is nothing to complain about; what it finds it has printed. */
type Step = () => boolean

const PATH = `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH}`

const tool = (command: string, ...args: Array<string>): Step => () =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH } }).status === 0

const findings = (run: () => ReadonlyArray<string>): Step => () => {
  const lines = run()
  for (const line of lines) console.log(`  ${line}`)
  return lines.length === 0
}

const steps: ReadonlyArray<readonly [name: string, step: Step]> = [
  ["compiler prints Effect diagnostics", () => {
    const version =
      spawnSync("tsc", ["--version"], { cwd: root, encoding: "utf8", env: { ...process.env, PATH } }).stdout
    const patched = version.includes("effect-tsgo")
    if (!patched) console.log(`  tsc is ${version.trim()}: run \`npm run prepare\` and read what it says`)
    return patched
  }],
  ["types (tsc -b)", tool("tsc", "-b")],
  ["lint (oxlint)", tool("oxlint")],
  ["format (dprint)", () => {
    const clean = tool("dprint", "check", "--list-different")()
    if (!clean) console.log("  run `npm run format`")
    return clean
  }],
  ["direction of imports", findings(imports.run)],
  ["docblocks", findings(docs.run)],
  ["examples", findings(examples.run)],
  ["files", () => {
    const { errors, warnings } = lengths.run()
    for (const line of warnings) console.log(`  warning: ${line}`)
    return findings(() => errors)()
  }],
  ["barrels", findings(() => codegen.run(true).map((path) => `${path} is out of date: run \`npm run codegen\``))],
  ["lockfile", tool("node", "scripts/lockfile.ts", "--check")],
  ["the checks themselves", tool("node", "--test", "--test-reporter=dot", "scripts/test/*.test.ts")]
]

const results = steps.map(([name, step]) => {
  console.log(`\n== ${name}`)
  const start = performance.now()
  const ok = step()
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`== ${name}: ${ok ? "ok" : "FAILED"} (${seconds} s)`)
  return { name, ok, seconds }
})

console.log("\nSummary")
for (const { name, ok, seconds } of results) {
  console.log(`  ${ok ? "ok    " : "FAILED"}  ${seconds.padStart(6)} s  ${name}`)
}
const failed = results.filter(({ ok }) => !ok)
console.log(failed.length === 0 ? "All checks passed." : `${failed.length} of ${results.length} checks failed.`)
process.exitCode = failed.length === 0 ? 0 : 1
