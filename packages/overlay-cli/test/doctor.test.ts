import { assert, describe, it } from "@effect/vitest"
import { defaults } from "@stellar-overlay/overlay/OverlayConfig"
import { Effect } from "effect"
import * as Machine from "../src/doctor/machine.ts"
import { node } from "./nodeSupport.ts"
import { cli, closedPort, objects } from "./support.ts"

const statuses = (out: ReadonlyArray<string>) =>
  Object.fromEntries(objects(out).map(({ check, status }) => [String(check), status]))

describe("doctor", () => {
  it("the limit on open files is what the configuration needs at most", () => {
    const limits = "Limit                     Soft Limit           Hard Limit           Units\n" +
      "Max open files            571                  1048576              files\n"
    assert.strictEqual(Machine.openFilesLimit(limits), 571)
    assert.strictEqual(Machine.openFilesLimit("Max open files  unlimited  unlimited  files"), Number.POSITIVE_INFINITY)
    assert.isUndefined(Machine.openFilesLimit(""))
    // 8 outbound, 64 inbound, 435 pending, 64 other files
    const values = {
      ...defaults,
      networkPassphrase: "x",
      targetPeerConnections: 8,
      maxAdditionalPeerConnections: 64,
      maxPendingConnections: 435
    }
    assert.strictEqual(Machine.openFiles(571, values).status, "ok")
    const few = Machine.openFiles(570, values)
    assert.deepStrictEqual([few.status, few.text], ["warn", "570 may be open, 571 are needed at most"])
    assert.strictEqual(Machine.openFiles(undefined, values).status, "skip")
  })

  it("Node.js that is too old is refused", () => {
    assert.deepStrictEqual(
      ["20.19.4", "22.18.0", "22.19.0", "24.0.0"].map((version) => Machine.runtime(version).status),
      ["fail", "fail", "ok", "ok"]
    )
  })

  it.live("all is well beside a node that answers and is called", () =>
    Effect.gen(function*() {
      const running = yield* node()
      yield* node(["--peer", running.address])
      yield* running.running.line(`"event":"authenticated"`)
      const admin = `127.0.0.1:${running.adminPort}`
      const args = ["doctor", "--network", "standalone", "--port", "0", "--peer", running.address, "--admin", admin]
      const ran = yield* cli([...args, "--json"])
      assert.strictEqual(ran.code, 0, ran.out.join("\n"))
      assert.deepStrictEqual(statuses(ran.out), {
        config: "ok",
        runtime: "ok",
        "open files": "ok",
        port: "ok",
        database: "warn",
        names: "skip",
        peers: "ok",
        versions: "ok",
        clock: "ok",
        node: "ok",
        inbound: "ok"
      })
    }))

  it.live("says what is wrong, and what to do; the exit code is the worst", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const ran = yield* cli([
        "doctor",
        "--network",
        "standalone",
        "--no-listen",
        "--peer",
        `127.0.0.1:${port}`,
        "--admin",
        `127.0.0.1:${port}`
      ])
      assert.strictEqual(ran.code, 3)
      const text = ran.out.join("\n")
      assert.match(text, /fail {2}peers .*ECONNREFUSED/)
      assert.match(text, /fail {2}node .*no answer/)
      assert.match(text, /2 failed, 1 to look at/)
      const config = yield* cli(["doctor", "--target", "99999"])
      assert.strictEqual(config.code, 2)
      assert.match(config.out.join("\n"), /targetPeerConnections/)
    }))
})
