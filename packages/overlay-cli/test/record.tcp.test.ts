import { assert, describe, it } from "@effect/vitest"
import * as Capture from "@stellar-overlay/overlay-test/Capture"
import { Effect, Result } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { demo, folder, node } from "./nodeSupport.ts"
import { cli, objects } from "./support.ts"

describe("record and replay", () => {
  it.live("what a node said on TCP is said again to a simulated node, which takes all of it; twice the same", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "net.jsonl")
      const { address } = yield* demo()
      const watched = yield* cli(["watch", address, "--json", "--count", "40", "--record", file])
      assert.strictEqual(watched.code, 0, watched.out.slice(-1).join() + watched.err.join())
      assert.match(watched.err.join("\n"), /^recorded: .*net\.jsonl: \d+ messages, /)

      const { entries, header } = Result.getOrThrow(Capture.parse(readFileSync(file, "utf8")))
      assert.match(header.passphrase, /^Standalone Network/)
      const messages = entries.flatMap((entry) => entry._tag === "Message" ? [entry] : [])
      const tags = (from: "remote" | "local") =>
        messages.filter((message) => message.from === from).map(({ message }) => message._tag)
      assert.deepStrictEqual(tags("local").slice(0, 3), ["Hello", "Auth", "SendMoreExtended"])
      assert.deepStrictEqual(tags("remote").slice(0, 2), ["Hello", "Auth"])
      assert.deepStrictEqual(entries.flatMap(({ _tag }) => _tag === "Message" ? [] : [_tag]), ["Open", "Close"])

      const replayed = yield* cli(["replay", file, "--json"])
      assert.strictEqual(replayed.code, 0, replayed.err.join("\n"))
      const [link, summary] = objects(replayed.out)
      const said = tags("remote").length - 2 // without HELLO and AUTH
      assert.deepInclude(link, { event: "link", address, messages: said, said })
      const scp = tags("remote").filter((tag) => tag === "ScpMessage").length
      assert.deepInclude(summary?.["delivered"], { SCP_MESSAGE: scp })
      assert.strictEqual(
        objects((yield* cli(["replay", file, "--json"])).out)[1]?.["traceHash"],
        summary?.["traceHash"]
      )
    }))

  it.live("all links of a node, those it dialled and those it accepted", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "node.jsonl")
      const called = yield* node()
      const recorded = yield* node(["--peer", called.address, "--record", file])
      yield* recorded.running.line(`"event":"authenticated"`)
      const caller = yield* node(["--peer", recorded.address, "--peer", called.address])
      yield* recorded.running.line((line) => line.includes(`"event":"authenticated"`) && line.includes(caller.id))
      yield* recorded.running.interrupt
      assert.match((yield* recorded.running.ended).err, /recorded: .* messages/)
      const { entries } = Result.getOrThrow(Capture.parse(readFileSync(file, "utf8")))
      const roles = entries.flatMap((entry) => entry._tag === "Open" ? [entry.role] : [])
      assert.includeMembers(roles, ["initiator", "acceptor"])
      const replayed = yield* cli(["replay", file, "--json"])
      assert.strictEqual(replayed.code, 0, replayed.out.join("\n"))
      assert.strictEqual(objects(replayed.out).filter(({ event }) => event === "link").length, roles.length)
    }))

  it.effect("a file that is not there, or no capture, is said; exit 2", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "other.txt")
      writeFileSync(file, "hello\n")
      const other = yield* cli(["replay", file])
      assert.strictEqual(other.code, 2)
      assert.match(other.err.join("\n"), /other\.txt: line 1: not the header of a capture/)
      const missing = yield* cli(["replay", `${file}.missing`])
      assert.strictEqual(missing.code, 2)
      const unwritable = yield* cli(["watch", "127.0.0.1:1", "--record", join(file, "x")])
      assert.strictEqual(unwritable.code, 2)
      assert.match(unwritable.err.join("\n"), /--record/)
    }))
})
