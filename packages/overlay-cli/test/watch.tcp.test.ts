import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { demo } from "./nodeSupport.ts"
import { child, cli, closedPort, objects, server } from "./support.ts"

describe("watch", () => {
  it.live("PEE-01 prints typed lines, as many as asked for; exit 0", () =>
    Effect.gen(function*() {
      const { address } = yield* demo()
      const ran = yield* (yield* child(["watch", address, "--count", "12", "--types", "scp"])).ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      const [connected, ...lines] = ran.out.trimEnd().split("\n")
      assert.match(
        connected!,
        /^connected: outbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+ on standalone, stellar-overlay 0\.1\.0, G/
      )
      assert.strictEqual(lines.length, 12)
      for (const line of lines) {
        assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} SCP_MESSAGE +slot \d+ [A-Z]+ by G[A-Z2-7]{4} \d+ B$/)
      }
    }))

  it.live("--types chooses, also what the connection settles by itself", () =>
    Effect.gen(function*() {
      const { address } = yield* demo()
      const { code, out } = yield* cli([
        "watch",
        address,
        "--json",
        "--types",
        "hello,auth,send-more,advert",
        "--count",
        "5"
      ])
      assert.strictEqual(code, 0)
      const [first, ...messages] = objects(out)
      assert.deepInclude(first, { event: "connected", ok: true, network: "standalone" })
      const types = messages.filter(({ event }) => event === "message").map(({ type }) => type)
      assert.deepStrictEqual(types.slice(0, 3), ["HELLO", "AUTH", "SEND_MORE_EXTENDED"])
      assert.deepStrictEqual([...new Set(types.slice(3))], ["FLOOD_ADVERT"])
    }))

  it.live("says why it cannot, with the exit code of the reason", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const closed = yield* cli(["watch", `127.0.0.1:${port}`])
      assert.strictEqual(closed.code, 3)
      assert.match(closed.err.join("\n"), /ConnectionRefused/)
      const garbage = yield* server((socket) => socket.write("SSH-2.0-OpenSSH_9.6\r\n"))
      const refused = yield* cli(["watch", `127.0.0.1:${garbage.port}`, "--json"])
      assert.strictEqual(refused.code, 4)
      assert.deepInclude(objects(refused.out)[0], { event: "failed", reason: "FrameTooLarge" })
    }))

  it.live("a node that goes away is reported with its reason", () =>
    Effect.gen(function*() {
      const { address, running } = yield* demo()
      const watching = yield* child(["watch", address])
      yield* watching.line("SCP_MESSAGE")
      yield* running.interrupt
      const ran = yield* watching.ended
      assert.strictEqual(ran.code, 3)
      assert.match(
        ran.err,
        /ended: outbound G[A-Z2-7]{4} at .*: unreachable: ERR_MISC \(shutdown\) \(ShutdownReceived\)/
      )
    }))

  it.live("Ctrl-C ends it, with a goodbye to the node; exit 0", () =>
    Effect.gen(function*() {
      const { address, running } = yield* demo()
      const watching = yield* child(["watch", address])
      yield* watching.line("SCP_MESSAGE")
      yield* watching.interrupt
      const ran = yield* watching.ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      const left = JSON.parse(yield* running.line(`"event":"left"`))
      assert.strictEqual(left.reason, "ShutdownReceived")
    }))

  it.live("interrupted in this process, it ends in order all the same", () =>
    Effect.gen(function*() {
      const { address, guest } = yield* demo()
      const fiber = yield* Effect.forkChild(cli(["watch", address]), { uninterruptible: true })
      yield* guest
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.strictEqual(exit._tag === "Success" ? exit.value.code : exit._tag, 0)
    }))
})
