/** Attacks on nodes with a defect planted into them, in a process of their own: what looks for trouble must find it. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { nodeMutants } from "../../../overlay-test/mutants/node.ts"

const root = fileURLToPath(new URL("../../../../", import.meta.url))

const attack = (rows: ReadonlyArray<string>, mutant: string | undefined) =>
  spawnSync(process.execPath, [
    "--conditions=@stellar-overlay/source",
    "--import",
    "./scripts/mutate.ts",
    "scripts/attacks.ts",
    ...rows
  ], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...(mutant === undefined ? {} : { MUTANT: mutant }) }
  })

describe("attacks on nodes with planted defects", () => {
  /** Some of `nodeMutants`; all of them are run by hand. */
  for (const name of ["bad-signatures-are-borne", "two-connections-with-one-node"]) {
    const { rows } = nodeMutants.find((mutant) => mutant.name === name)!
    it(`${rows.join(" ")} with ${name} the row is red`, () => {
      const { status, stdout } = attack(rows, name)
      assert.strictEqual(status, 1, stdout)
      assert.match(stdout, new RegExp(`\nred: ${rows.join(" ")}\n$`))
    }, 60_000)
  }

  it("without one it is green", () => {
    const { status, stdout } = attack(["A10"], undefined)
    assert.strictEqual(status, 0, stdout)
    assert.match(stdout, /\nall as it must be\n$/)
  }, 60_000)
})
