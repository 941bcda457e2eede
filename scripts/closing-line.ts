/**
 * A vitest reporter that ends the run with one plain line, `12 passed, 0 failed`, and keeps it in
 * `build/test-counts.txt`. A run in which nothing was tested fails.
 *
 * With `TEST_COUNTS=later` in the environment it only writes the file, for a script that prints the line at its end.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Reporter, TestModule } from "vitest/node"

const file = fileURLToPath(new URL("../build/test-counts.txt", import.meta.url))

export interface Counts {
  readonly passed: number
  readonly failed: number
}

/** Counts tests; a file that failed without a failed test (it does not load) and a stray error count as one failure. */
export const count = (modules: ReadonlyArray<TestModule>, strayErrors: number): Counts => {
  let passed = 0
  let failed = strayErrors
  for (const module of modules) {
    let failedHere = 0
    for (const test of module.children.allTests()) {
      const state = test.result().state
      if (state === "passed") passed++
      else if (state === "failed") failedHere++
    }
    failed += failedHere === 0 && module.state() === "failed" ? 1 : failedHere
  }
  return { passed, failed }
}

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>): void {
    const { failed, passed } = count(modules, errors.length)
    const line = `${passed} passed, ${failed} failed`
    mkdirSync(new URL("../build/", import.meta.url), { recursive: true })
    writeFileSync(file, `${line}\n`)
    process.once("exit", () => {
      if (passed + failed === 0) process.exitCode = 1
      if (process.env.TEST_COUNTS !== "later") process.stdout.write(`\n${line}\n`)
    })
  }
}
