import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The TypeScript blocks of the page. */
const blocks = (): ReadonlyArray<string> => {
  const page = readFileSync(new URL("../../../../docs/SIMULATION.md", import.meta.url), "utf8")
  return [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
}

/** Runs a program as somebody would who depends on the packages. */
const run = (code: string): string => {
  const folder = mkdtempSync(fileURLToPath(new URL("../../.docs-", import.meta.url)))
  try {
    writeFileSync(`${folder}/test.ts`, code)
    const { stderr, stdout } = spawnSync(process.execPath, [
      "--conditions=@stellar-overlay/source",
      `${folder}/test.ts`
    ], {
      encoding: "utf8"
    })
    return stdout === "" ? stderr : stdout
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe("docs/SIMULATION.md", () => {
  it("SIM-04 the example of three nodes prints what the page says", () => {
    const [first] = blocks()
    assert.isDefined(first)
    const expected = /^\/\/ (\{.*\})$/m.exec(first)?.[1]
    assert.strictEqual(run(first).trim(), expected)
  })

  it("SIM-04 the other examples run", { timeout: 60_000 }, () => {
    for (const code of blocks().slice(1)) assert.match(run(code), /^0 [0-9a-f]{16}$/m)
  })
})
