/** `conformance` against nodes of this project in other processes: as they are, and with defects planted into them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { plant } from "../../../scripts/mutate.ts"
import { mutants } from "../../overlay-test/mutants/index.ts"
import { patienceMutants } from "../../overlay-test/mutants/patience.ts"
import { swarmMutants } from "../../overlay-test/mutants/swarm.ts"
import { child, cli, objects } from "./support.ts"

const root = new URL("../../../", import.meta.url)
const mutate = fileURLToPath(new URL("scripts/mutate.ts", root))

/** A node of the standalone network in another process, with a defect if given; where it listens. */
const node = Effect.fnUntraced(function*(mutant?: string) {
  const args = ["node", "--json", "--network", "standalone", "--port", "0", "--no-admin", "--host", "relay"]
  const env = mutant === undefined ? {} : { MUTANT: mutant, NODE_OPTIONS: `--import ${mutate}` }
  const running = yield* child(args, env)
  const line = yield* running.line(`"event":"listening"`)
  if (!line.startsWith("{")) return yield* Effect.die(line)
  return String(JSON.parse(line).address)
})

const redRows = (out: ReadonlyArray<string>) => objects(out).at(-1)?.["red"]

describe("conformance", () => {
  it.live(
    "T4 M1 X1 F1 a node as it is holds to all that can be tried in short time; exit 0",
    () =>
      Effect.gen(function*() {
        const address = yield* node()
        const { code, err, out } = yield* cli(["conformance", "--target", address])
        assert.deepStrictEqual([code, err], [0, []], out.join("\n"))
        assert.match(out.join("\n"), /\nall as it must be: 12\d\d variants of 4\d attacks in /)
        assert.notInclude(out.join("\n"), "FAILED")
      }),
    120_000
  )

  /** One for each part of the protocol; all of them are run by hand. */
  const planted = ["mac-is-not-checked", "frames-of-any-length"]
  for (const name of planted) {
    const { rows } = mutants.find((mutant) => mutant.name === name)!
    it.live(`${rows.join(" ")} with ${name} the right rows are red; exit 4`, () =>
      Effect.gen(function*() {
        const address = yield* node(name)
        const { code, out } = yield* cli([
          "conformance",
          "--json",
          "--target",
          address,
          "--only",
          [...rows, "T6"].join()
        ])
        assert.strictEqual(code, 4, out.join("\n"))
        assert.sameMembers(redRows(out) as Array<string>, [...rows], "and T6 is green")
      }), 60_000)
  }

  it.effect("an address that is not this machine is refused; exit 2", () =>
    Effect.gen(function*() {
      for (
        const address of ["core-live-a.stellar.org", "10.0.0.1:11625", "[::ffff:10.0.0.1]:11625", "localhost:11625"]
      ) {
        const { code, err } = yield* cli(["conformance", "--target", address])
        assert.strictEqual(code, 2)
        assert.include(err.join("\n"), "not a loopback address")
      }
    }))

  it.effect("rows that do not exist are a mistake; exit 2", () =>
    Effect.gen(function*() {
      const { code } = yield* cli(["conformance", "--target", "127.0.0.1:1", "--only", "T4,Z9"])
      assert.strictEqual(code, 2)
    }))

  it.live("a port where nobody listens is unreachable; exit 3", () =>
    Effect.gen(function*() {
      const { code } = yield* cli(["conformance", "--target", "127.0.0.1:1"])
      assert.strictEqual(code, 3)
    }))
})

describe("planted defects", () => {
  for (const mutant of mutants) {
    it(`${mutant.name} has its place, once, and changes it`, () => {
      const source = readFileSync(new URL(mutant.file, root), "utf8")
      assert.notStrictEqual(plant(source, mutant), source)
      // Those that honest nodes suffer from are noticed by `sim mutants`.
      if (![...swarmMutants, ...patienceMutants].includes(mutant)) assert.isNotEmpty(mutant.rows)
    })
  }

  it("have names of their own", () => {
    assert.strictEqual(new Set(mutants.map(({ name }) => name)).size, mutants.length)
  })
})
