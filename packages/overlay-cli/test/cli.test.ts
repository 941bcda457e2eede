import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import { Effect, Layer, Redacted } from "effect"
import { readFileSync } from "node:fs"
import { run } from "../src/cli.ts"
import { render } from "../src/render/Line.ts"
import { console, Screen } from "../src/render/Screen.ts"
import { VERSION } from "../src/version.ts"
import { cli, objects } from "./support.ts"

const commands = ["node", "demo", "ping", "peers", "watch", "mempool", "scp", "decode", "keygen"]

describe("stellar-overlay", () => {
  it.effect("says its version, which is that of the package", () =>
    Effect.gen(function*() {
      const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"))
      assert.strictEqual(VERSION, manifest.version)
      const { code, out } = yield* cli(["--version"])
      assert.strictEqual(code, 0)
      assert.include(out.join("\n"), VERSION)
    }))

  it.effect("without arguments, and with --help, lists what it can do and exits 0", () =>
    Effect.gen(function*() {
      for (const args of [[], ["--help"], ["-h"]]) {
        const { code, err, out } = yield* cli(args)
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(err, [])
        for (const name of commands) assert.include(out.join("\n"), name)
      }
    }))

  it.effect("every subcommand explains itself", () =>
    Effect.gen(function*() {
      for (const name of commands) {
        const { code, out } = yield* cli([name, "--help"])
        assert.strictEqual(code, 0)
        assert.include(out.join("\n"), "USAGE")
      }
    }))

  const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, says: RegExp]> = [
    [["pong"], /Unknown subcommand "pong".*\n?.*ping/s],
    [["ping"], /Missing required argument: target/],
    [["ping", "1.2.3"], /an address such as/],
    [["ping", "host:99999"], /an address such as/],
    [["ping", "--bogus", "localhost"], /Unrecognized flag: --bogus/],
    [["ping", "localhost", "--network", "mainnet"], /pubnet/],
    [["ping", "localhost", "--timeout", "0"], /seconds, above 0/],
    [["ping", "localhost", "--passphrase", ""], /passphrase/],
    [["watch", "localhost", "--types", "scp,foo"], /not foo/],
    [["watch", "localhost", "--count", "0"], /above 0/],
    [["mempool", "a", "b"], /Unexpected positional argument: "b"/],
    [["demo", "--nodes", "1"], /2 to 32/],
    [["demo", "--nodes", "x"], /nodes/],
    [["demo", "--seconds", "-1"], /above 0/],
    [["demo", "--rate", "fast"], /"max"/],
    [["demo", "--tps", "-1"], /0 to 1000/],
    [["node", "--host", "validator"], /watcher/],
    [["node", "--admin-port", "65536"], /a port from 0/],
    [["node", "--peer", "1.2.3"], /an address such as/],
    [["peers"], /Missing required flag: --of/],
    [["scp"], /Missing required argument: target/],
    [["mempool", "localhost", "--seconds", "0"], /above 0/],
    [["demo", "--port", "70000"], /a port from 0/],
    [["decode", "--kind", "packet", "00"], /frame/]
  ]
  for (const [args, says] of wrong) {
    it.effect(`wrong arguments are explained and exit 2: ${args.join(" ")}`, () =>
      Effect.gen(function*() {
        const { code, err, out } = yield* cli(args)
        assert.strictEqual(code, 2)
        assert.match(err.join("\n"), says)
        assert.match(err.join("\n"), /usage: stellar-overlay/)
        assert.deepStrictEqual(out, [])
      }))
  }

  it.effect("CFG-06 a defect is owned up to, and exits 70", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const broken: Screen = {
        ...console,
        print: () => Effect.die(new Error("printer on fire\x1b[2J")),
        note: (lines) =>
          Effect.sync(() => {
            for (const line of lines) notes.push(render(line, { colors: false }))
          })
      }
      const code = yield* run(["keygen"]).pipe(
        Effect.provideService(Screen, broken),
        Effect.provide(NodeServices.layer)
      )
      assert.strictEqual(code, 70)
      assert.match(notes[0]!, /this is a bug in stellar-overlay/)
      assert.match(notes[1]!, /printer on fire\\x1b\[2J/)
    }))

  it.effect("O6 an argument that is quoted back is escaped", () =>
    Effect.gen(function*() {
      const { code, err } = yield* cli(["ping", "\x1b[31mevil\u202e"])
      assert.strictEqual(code, 2)
      assert.include(err.join("\n"), "\\x1b[31mevil\\u{202e}")
    }))
})

describe("keygen", () => {
  it.effect("draws a seed and the node id that belongs to it, and prints the seed to standard output alone", () =>
    Effect.gen(function*() {
      const { code, err, out } = yield* cli(["keygen", "--json"])
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(err, [])
      const [{ nodeId, seed }] = objects(out) as [Record<string, string>]
      const identity = yield* NodeIdentity.pipe(Effect.provide(
        NodeIdentity.layerFromSeed(Redacted.make(seed!)).pipe(Layer.provide(OverlayCrypto.layerNoble))
      ))
      assert.strictEqual(identity.nodeId, nodeId)
    }))

  it.effect("draws another one each time, in two plain lines", () =>
    Effect.gen(function*() {
      const first = yield* cli(["keygen"])
      const second = yield* cli(["keygen"])
      assert.match(first.out[0]!, /^seed {2}S[A-Z2-7]{55}$/)
      assert.match(first.out[1]!, /^node {2}G[A-Z2-7]{55}$/)
      assert.notStrictEqual(first.out[0], second.out[0])
    }))
})
